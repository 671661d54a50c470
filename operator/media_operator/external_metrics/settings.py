"""The metrics server's settings; see the table in the README."""

from __future__ import annotations

from pydantic import Field

from media_core.settings import DNS_LABEL, ServiceSettings

_NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"


class ExternalMetricsSettings(ServiceSettings):
    """Everything the metrics server can be told."""

    host: str = Field(
        "0.0.0.0",  # noqa: S104 - the API server, the kubelet and Prometheus come from outside the pod
        alias="MEDIA_METRICS_HOST",
        description="Address on which both ports are served.",
        min_length=1,
        examples=["127.0.0.1"],
    )
    port: int = Field(
        8443,
        alias="MEDIA_METRICS_PORT",
        description="Port of external.metrics.k8s.io, by TLS, for the Kubernetes API server alone.",
        ge=1,
        le=65535,
        examples=["8443"],
    )
    probe_port: int = Field(
        8080,
        alias="MEDIA_METRICS_PROBE_PORT",
        description="Port of /livez, /readyz, /metrics and /backlog/<pool>, without TLS.",
        ge=1,
        le=65535,
        examples=["8080"],
    )
    service: str = Field(
        "media-metrics",
        alias="MEDIA_METRICS_SERVICE",
        description="Service by which the API server reaches this program; its certificate is made out to it.",
        pattern=DNS_LABEL,
        examples=["media-metrics"],
    )
    service_namespace: str = Field(
        "media",
        alias="MEDIA_METRICS_SERVICE_NAMESPACE",
        description="Namespace of that Service and of the Secret.",
        pattern=DNS_LABEL,
        examples=["media"],
    )
    secret: str = Field(
        "media-metrics-tls",
        alias="MEDIA_METRICS_SECRET",
        description="Secret in which this program keeps its certificates; it makes the Secret where there is none.",
        pattern=_NAME,
        examples=["media-metrics-tls"],
    )
    apiservice: str | None = Field(
        None,
        alias="MEDIA_METRICS_APISERVICE",
        description="APIService whose caBundle this program keeps right. Without one, external.metrics.k8s.io is not "
        "served, only the port without TLS: for clusters where that group is another's, such as KEDA's.",
        pattern=_NAME,
        examples=["v1beta1.external.metrics.k8s.io"],
    )
