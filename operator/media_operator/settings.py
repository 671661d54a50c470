"""The operator's settings; see the table in the README."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from media_core.asset import VideoBackend
from media_core.settings import DatabaseSettings, StorageSettings


class OperatorSettings(DatabaseSettings, StorageSettings):
    """Everything the operator can be told. Workers are told the storage part of it, and the limits."""

    operator_host: str = Field(
        "0.0.0.0",  # noqa: S104 - the kubelet and Prometheus come from outside the pod
        alias="MEDIA_OPERATOR_HOST",
        description="Address on which /livez, /readyz and /metrics are served.",
        min_length=1,
        examples=["127.0.0.1"],
    )
    operator_port: int = Field(
        8080,
        alias="MEDIA_OPERATOR_PORT",
        description="Port of /livez, /readyz and /metrics.",
        ge=1,
        le=65535,
        examples=["8080"],
    )
    lease_name: str = Field(
        "media-operator",
        alias="MEDIA_LEASE_NAME",
        description="Lease by which one of several operators is chosen to work; the others stand by.",
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
        examples=["media-operator"],
    )
    lease_namespace: str | None = Field(
        None,
        alias="MEDIA_LEASE_NAMESPACE",
        description="Namespace of the Lease; without it, that of the assets. Its own lets it outlive theirs.",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        examples=["media"],
    )
    lease_seconds: int = Field(
        10,
        alias="MEDIA_LEASE_SECONDS",
        description="How long the Lease of an operator that died keeps the others waiting.",
        ge=2,
        le=120,
        examples=["10"],
    )
    rights_name: str | None = Field(
        None,
        alias="MEDIA_RIGHTS_NAME",
        description="RoleBinding of this operator in the assets' namespace, held until the last asset of a deleted "
        "namespace is purged; without it, none is held.",
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$",
        examples=["media-operator"],
    )
    pod_name: str | None = Field(
        None,
        alias="MEDIA_POD_NAME",
        description="Who this operator is in the Lease, unlike any other; without it, a name of host and process.",
        min_length=1,
        max_length=253,
        examples=["media-operator-6f9c7d5b8-x2x7q"],
    )
    worker_image: str = Field(
        "media-worker:latest",
        alias="MEDIA_WORKER_IMAGE",
        description="Image of the worker Jobs.",
        min_length=1,
        examples=["registry.example.org/media-worker:1.0.0"],
    )
    worker_pull_policy: str = Field(
        "IfNotPresent",
        alias="MEDIA_WORKER_PULL_POLICY",
        description="When the image of the worker Jobs is pulled: Always, IfNotPresent or Never.",
        pattern="^(Always|IfNotPresent|Never)$",
        examples=["IfNotPresent"],
    )
    worker_service_account: str = Field(
        "media-worker",
        alias="MEDIA_WORKER_SERVICE_ACCOUNT",
        description="ServiceAccount of the worker Jobs.",
        min_length=1,
        examples=["media-worker"],
    )
    worker_s3_secret: str = Field(
        "media-s3",
        alias="MEDIA_WORKER_S3_SECRET",
        description="Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the workers.",
        min_length=1,
        examples=["media-s3"],
    )
    max_live_assets: int = Field(
        10_000,
        alias="MEDIA_MAX_LIVE_ASSETS",
        description="MediaAsset objects kept in the cluster at once; further confirmed uploads wait in PostgreSQL.",
        ge=1,
        examples=["10000"],
    )
    max_pixels: int = Field(
        50_000_000,
        alias="MEDIA_MAX_PIXELS",
        description="Pixels (width times height) an image may have.",
        ge=1,
        examples=["50000000"],
    )
    max_frames: int = Field(
        1_000,
        alias="MEDIA_MAX_FRAMES",
        description="Frames an animated image may have.",
        ge=1,
        examples=["1000"],
    )
    video_backend: str = Field(
        "none",
        alias="MEDIA_VIDEO_BACKEND",
        description="Who transcodes new videos: mediaconvert, ffmpeg (workers of pool video), or none: they wait.",
        pattern="^(none|ffmpeg|mediaconvert)$",
        examples=["ffmpeg"],
    )
    video_worker_image: str = Field(
        "media-worker-ffmpeg:latest",
        alias="MEDIA_VIDEO_WORKER_IMAGE",
        description="Image of the worker Jobs of pool video.",
        min_length=1,
        examples=["registry.example.org/media-worker-ffmpeg:1.0.0"],
    )
    max_video_seconds: int = Field(
        14_400,
        alias="MEDIA_MAX_VIDEO_SECONDS",
        description="Length a video may have.",
        ge=1,
        examples=["14400"],
    )
    video_poll_seconds: int = Field(
        30,
        alias="MEDIA_VIDEO_POLL_SECONDS",
        description="How often MediaConvert is asked how far its jobs are.",
        ge=1,
        le=600,
        examples=["30"],
    )
    mediaconvert_endpoint: str | None = Field(
        None,
        alias="MEDIACONVERT_ENDPOINT",
        description="MediaConvert endpoint other than that of the region.",
        pattern=r"^https?://[^\s/?#]+/?$",
        examples=["https://mediaconvert.eu-central-1.amazonaws.com"],
    )
    mediaconvert_role_arn: str | None = Field(
        None,
        alias="MEDIACONVERT_ROLE_ARN",
        description="Role by which MediaConvert uses the bucket; while it is set, jobs that are there are watched.",
        pattern=r"^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/.+$",
        examples=["arn:aws:iam::123456789012:role/media-mediaconvert"],
    )
    mediaconvert_queue: str = Field(
        "Default",
        alias="MEDIACONVERT_QUEUE",
        description="MediaConvert queue, by name or ARN; it may be shared with others.",
        pattern=r"^[A-Za-z0-9:/_ -]{1,256}$",
        examples=["media"],
    )

    @property
    def backend(self) -> VideoBackend | None:
        """Who transcodes new videos; None where nobody does."""
        return None if self.video_backend == "none" else VideoBackend(self.video_backend)

    @model_validator(mode="after")
    def _role(self) -> Self:
        if self.backend is VideoBackend.MEDIACONVERT and self.mediaconvert_role_arn is None:
            raise ValueError(
                "MEDIA_VIDEO_BACKEND=mediaconvert needs MEDIACONVERT_ROLE_ARN, the role by which it uses the bucket. "
                "Example: MEDIACONVERT_ROLE_ARN=arn:aws:iam::123456789012:role/media-mediaconvert"
            )
        return self
