"""What the API counts. One registry for each application, so that several can live in one process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """All series of the API."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Histogram(
            "media_api_request_seconds",
            "Duration of requests, until the last byte of the answer.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.problems = Counter(
            "media_api_problems_total", "Problems answered, by type.", ("type",), registry=self._registry
        )
        self.uploads = Counter(
            "media_api_uploads_total", "Upload URLs given out.", ("asset_type",), registry=self._registry
        )
        self.confirms = Counter(
            "media_api_confirms_total",
            "Confirms by outcome: confirmed, repeated, or the type of the problem.",
            ("outcome",),
            registry=self._registry,
        )
        self.objects = Counter(
            "media_api_objects_total",
            "What became of the MediaAsset at confirm: created, or left to the operator and why.",
            ("outcome",),
            registry=self._registry,
        )
        self.streamed_bytes = Counter(
            "media_api_streamed_bytes_total", "Bytes passed through /media/stream.", registry=self._registry
        )
        self.streams = Gauge("media_api_streams", "Transfers through /media/stream now.", registry=self._registry)

    def exposition(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
