"""The API's settings; see the table in the README."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from media_api.uploads import Limits
from media_core.asset import AssetType
from media_core.settings import DatabaseSettings, StorageSettings

MEBIBYTE = 1 << 20
SHORTEST_SECRET_BYTES = 32
_URL = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"


class ApiSettings(DatabaseSettings, StorageSettings):
    """Everything the API can be told."""

    host: str = Field(
        "0.0.0.0",  # noqa: S104 - a container's only network is its own
        alias="MEDIA_HOST",
        description="Address the API listens on.",
        min_length=1,
        examples=["127.0.0.1"],
    )
    port: int = Field(
        8005, alias="MEDIA_PORT", description="Port the API listens on.", ge=0, le=65535, examples=["8005"]
    )
    public_base_url: str | None = Field(
        None,
        alias="MEDIA_PUBLIC_BASE_URL",
        description="Put before the media paths in answers (a CDN, for example); without it they are relative.",
        pattern=_URL,
        examples=["https://cdn.example.org"],
    )
    s3_public_endpoint_url: str | None = Field(
        None,
        alias="MEDIA_S3_PUBLIC_ENDPOINT_URL",
        description="S3 endpoint that presigned URLs name, where clients reach it by another name than the service.",
        pattern=_URL,
        examples=["https://s3.example.org"],
    )
    kubeconfig: Path | None = Field(
        None,
        alias="KUBECONFIG",
        description="File that says where the Kubernetes API is; without it, that of the pod's own cluster.",
        examples=["/etc/media/kubeconfig"],
    )
    jwt_secret: SecretStr | None = Field(
        None,
        alias="MEDIA_JWT_SECRET",
        description="Secret of HS256 tokens, at least 32 bytes. One of this, MEDIA_JWKS_URL and MEDIA_JWKS_FILE.",
        examples=["<32 or more random bytes>"],
    )
    jwks_url: str | None = Field(
        None,
        alias="MEDIA_JWKS_URL",
        description="Where the public keys of RS256 and ES256 tokens are fetched.",
        pattern=_URL,
        examples=["https://login.example.org/.well-known/jwks.json"],
    )
    jwks_file: Path | None = Field(
        None,
        alias="MEDIA_JWKS_FILE",
        description="File with the public keys of RS256 and ES256 tokens.",
        examples=["/etc/media/jwks.json"],
    )
    jwt_audience: str = Field(
        "media",
        alias="MEDIA_JWT_AUDIENCE",
        description="Audience (`aud`) a token must be made for.",
        min_length=1,
        examples=["media"],
    )
    max_image_bytes: int = Field(
        100 * MEBIBYTE,
        alias="MEDIA_MAX_IMAGE_BYTES",
        description="Largest image that may be uploaded, in bytes.",
        ge=1,
        le=5 << 30,
        examples=["104857600"],
    )
    max_video_bytes: int = Field(
        5 << 30,
        alias="MEDIA_MAX_VIDEO_BYTES",
        description="Largest video that may be uploaded, in bytes; one PUT to S3 carries at most 5 GiB.",
        ge=1,
        le=5 << 30,
        examples=["5368709120"],
    )
    max_pdf_bytes: int = Field(
        100 * MEBIBYTE,
        alias="MEDIA_MAX_PDF_BYTES",
        description="Largest PDF that may be uploaded, in bytes.",
        ge=1,
        le=5 << 30,
        examples=["104857600"],
    )
    max_scorm_bytes: int = Field(
        512 * MEBIBYTE,
        alias="MEDIA_MAX_SCORM_BYTES",
        description="Largest SCORM package that may be uploaded, in bytes.",
        ge=1,
        le=5 << 30,
        examples=["536870912"],
    )
    upload_url_seconds: int = Field(
        900,
        alias="MEDIA_UPLOAD_URL_SECONDS",
        description="Seconds a presigned upload URL can be used, at most 900: what is deleted is purged again later.",
        ge=10,
        le=900,
        examples=["900"],
    )
    serve_url_seconds: int = Field(
        300,
        alias="MEDIA_SERVE_URL_SECONDS",
        description="Seconds the presigned URL behind /media/serve can be used; its redirect is cached half as long.",
        ge=10,
        le=7 * 86400,
        examples=["300"],
    )
    max_backlog: int = Field(
        100_000,
        alias="MEDIA_MAX_BACKLOG",
        description="Confirmed uploads not processed yet beyond which new uploads are answered with 429.",
        ge=1,
        examples=["100000"],
    )
    max_live_assets: int = Field(
        10_000,
        alias="MEDIA_MAX_LIVE_ASSETS",
        description="MediaAsset objects kept in the cluster at once; further confirmed uploads wait in PostgreSQL.",
        ge=1,
        examples=["10000"],
    )
    max_request_bytes: int = Field(
        64 * 1024,
        alias="MEDIA_MAX_REQUEST_BYTES",
        description="Largest JSON body of a request, in bytes.",
        ge=1024,
        examples=["65536"],
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        alias="MEDIA_CORS_ORIGINS",
        description="Origins whose pages may call the API, separated by commas; `*` for all.",
        examples=["https://app.example.org,https://admin.example.org"],
    )
    database_connections: int = Field(
        10,
        alias="MEDIA_DATABASE_CONNECTIONS",
        description="Most connections to PostgreSQL of one API process.",
        ge=1,
        le=1000,
        examples=["10"],
    )
    storage_threads: int = Field(
        32,
        alias="MEDIA_STORAGE_THREADS",
        description="Most calls to S3 at once of one API process.",
        ge=1,
        le=512,
        examples=["32"],
    )
    max_streams: int = Field(
        256,
        alias="MEDIA_MAX_STREAMS",
        description="Most transfers through /media/stream at once of one API process.",
        ge=1,
        examples=["256"],
    )

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for origin in given:
            scheme, separator, host = origin.partition("://")
            if origin != "*" and (scheme not in ("http", "https") or not separator or not host or "/" in host):
                raise ValueError(f"{origin!r} is no origin: scheme, host and perhaps a port, without a path")
        return given

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and len(given.get_secret_value().encode()) < SHORTEST_SECRET_BYTES:
            raise ValueError(f"a secret of HS256 tokens has at least {SHORTEST_SECRET_BYTES} bytes")
        return given

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        given = [value for value in (self.jwt_secret, self.jwks_url, self.jwks_file) if value is not None]
        if len(given) != 1:
            raise ValueError(
                "exactly one of MEDIA_JWT_SECRET, MEDIA_JWKS_URL and MEDIA_JWKS_FILE has to be set, for without a key "
                f"nobody can be told apart; {len(given)} are. "
                "Example: MEDIA_JWKS_URL=https://login.example.org/.well-known/jwks.json"
            )
        return self

    @property
    def limits(self) -> Limits:
        """The size limits by type."""
        return Limits(
            {
                AssetType.IMAGE: self.max_image_bytes,
                AssetType.VIDEO: self.max_video_bytes,
                AssetType.PDF: self.max_pdf_bytes,
                AssetType.SCORM: self.max_scorm_bytes,
            }
        )
