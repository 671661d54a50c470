"""The operator's settings; see the table in the README."""

from __future__ import annotations

from pydantic import Field

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
    worker_image: str = Field(
        "media-worker:latest",
        alias="MEDIA_WORKER_IMAGE",
        description="Image of the worker Jobs.",
        min_length=1,
        examples=["registry.example.org/media-worker:1.0.0"],
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
