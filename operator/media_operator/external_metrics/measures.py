"""What the metrics server tells Prometheus of itself, and the backlogs it would give right now.

A registry of its own: the operator's metrics stand in the default one, and both are imported by some programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from media_operator.external_metrics.documents import Value


class Measures:
    """One of each, in one registry."""

    def __init__(self, backlogs: Callable[[], Iterable[Value]]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "media_external_metrics_requests",
            "Requests of the API server, by what was asked for and the code of the answer.",
            ["asked", "code"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "media_external_metrics_request_seconds",
            "Time to answer a request of the API server.",
            ["asked"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 6),
            registry=self.registry,
        )
        self.certificate_end = Gauge(
            "media_external_metrics_certificate_end_timestamp_seconds",
            "When the certificate being served ends.",
            registry=self.registry,
        )
        self.registry.register(_Backlogs(backlogs))


class _Backlogs(Collector):
    """A pool whose backlog is old is left out, as it is refused elsewhere."""

    def __init__(self, backlogs: Callable[[], Iterable[Value]]) -> None:
        self._backlogs = backlogs

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "media_external_metrics_backlog_seconds",
            "Backlog of the pool as it is given to the HPA; absent while it is older than a minute.",
            labels=["pool"],
        )
        for value in self._backlogs():
            family.add_metric([value.pool], value.seconds)
        yield family
