"""The worker's settings: the environment its Job's manifest gives it (`media_core.manifests`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, Json

from media_core.containers import FILM_BYTES
from media_core.ladder import LONGEST_SECONDS
from media_core.manifests import GRACE_SECONDS
from media_core.renditions import DEFAULT_RENDITIONS, Rendition
from media_core.settings import StorageSettings
from media_worker.filming import FilmRecipe
from media_worker.hand import Room
from media_worker.lifetime import Lifetime
from media_worker.rendering import Recipe

MEBIBYTE = 1 << 20
RENDITIONS_JSON: Any = json.dumps([rendition.to_json() for rendition in DEFAULT_RENDITIONS])
"""The default as the environment would say it, so that the settings' documentation shows it so."""


class WorkerSettings(StorageSettings):
    """Everything a worker can be told."""

    job_name: str = Field(
        alias="MEDIA_JOB_NAME",
        description="Name of the Job this worker is the pod of; it works on what is bound to that Job.",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        examples=["default-ab12-1"],
    )
    pod_name: str = Field(
        "", alias="MEDIA_POD_NAME", description="Name of the pod, for the log.", examples=["default-ab12-1-x7k2p"]
    )
    concurrency: int = Field(
        2, alias="MEDIA_CONCURRENCY", description="Images decoded at once.", ge=1, le=64, examples=[2]
    )
    prefetch: int = Field(
        4,
        alias="MEDIA_PREFETCH",
        description="Originals fetched ahead while the decoders work.",
        ge=0,
        le=256,
        examples=[4],
    )
    originals_memory_bytes: int = Field(
        400 * MEBIBYTE,
        alias="MEDIA_ORIGINALS_MEMORY_BYTES",
        description="Originals held in memory at once; one is always let in.",
        gt=0,
        examples=[400 * MEBIBYTE],
    )
    max_original_bytes: int = Field(
        200 * MEBIBYTE,
        alias="MEDIA_MAX_ORIGINAL_BYTES",
        description="Largest original that is processed; a larger one fails as TooLarge.",
        gt=0,
        le=200 * MEBIBYTE,
        examples=[200 * MEBIBYTE],
    )
    renditions: Json[Annotated[tuple[Rendition, ...], Field(min_length=1, max_length=16)]] = Field(
        RENDITIONS_JSON,
        alias="MEDIA_RENDITIONS",
        description="Pictures made of every image, as JSON.",
        examples=['[{"name":"thumbnail","size":150}]'],
    )
    max_pixels: int = Field(
        50_000_000, alias="MEDIA_MAX_PIXELS", description="Pixels an image may have.", gt=0, examples=[50_000_000]
    )
    max_frames: int = Field(
        1_000, alias="MEDIA_MAX_FRAMES", description="Frames an animation may have.", gt=0, examples=[1_000]
    )
    film_folder: Path | None = Field(
        None,
        alias="MEDIA_FILM_FOLDER",
        description="Folder shared with the transcoder; where it is set, the worker takes videos in place of images.",
        examples=["/run/film"],
    )
    max_video_bytes: int = Field(
        5 << 30,
        alias="MEDIA_MAX_VIDEO_BYTES",
        description="Largest video that is processed; a larger one fails as TooLarge.",
        gt=0,
        le=5 << 30,
        examples=[5 << 30],
    )
    max_video_seconds: int = Field(
        LONGEST_SECONDS,
        alias="MEDIA_MAX_VIDEO_SECONDS",
        description="Length a video may have; a longer one fails as TooLong.",
        ge=1,
        le=86_400,
        examples=[LONGEST_SECONDS],
    )
    decoder_socket: str = Field(
        "/run/media/decoder.sock",
        alias="MEDIA_DECODER_SOCKET",
        description="Unix socket of the decoder container.",
        min_length=1,
        examples=["/run/media/decoder.sock"],
    )
    decoder_patience_seconds: float = Field(
        30,
        alias="MEDIA_DECODER_PATIENCE_SECONDS",
        description="How long a decoder that does not answer is waited for before its asset is given back.",
        gt=0,
        examples=[30],
    )
    storage_patience_seconds: float = Field(
        30,
        alias="MEDIA_STORAGE_PATIENCE_SECONDS",
        description="How long object storage that fails is tried again before its asset is given back.",
        gt=0,
        examples=[30],
    )
    idle_seconds: float = Field(
        30, alias="MEDIA_IDLE_SECONDS", description="The worker ends after so long without work.", ge=0, examples=[30]
    )
    max_lifetime_seconds: float = Field(
        3600,
        alias="MEDIA_MAX_LIFETIME_SECONDS",
        description="Past this age the worker ends as soon as nothing is in hand.",
        gt=0,
        examples=[3600],
    )
    asset_timeout_seconds: float = Field(
        1800,
        alias="MEDIA_ASSET_TIMEOUT_SECONDS",
        description="How long one image may take from the start of its decoding; then it fails.",
        ge=1,
        le=86_400,
        examples=[1800],
    )
    drain_seconds: float = Field(
        GRACE_SECONDS - 15,
        alias="MEDIA_DRAIN_SECONDS",
        description="How long running work may go on after SIGTERM; then it is given back.",
        ge=0,
        le=GRACE_SECONDS - 15,
        examples=[GRACE_SECONDS - 15],
    )

    @property
    def room(self) -> Room:
        """How much may be in hand at once."""
        return Room(self.concurrency, self.prefetch, self.originals_memory_bytes)

    @property
    def recipe(self) -> Recipe:
        """What is made of every image."""
        return Recipe(
            bucket=self.s3_bucket_media,
            renditions=self.renditions,
            max_original_bytes=self.max_original_bytes,
            max_pixels=self.max_pixels,
            max_frames=self.max_frames,
            asset_timeout_seconds=self.asset_timeout_seconds,
            decoder_patience_seconds=self.decoder_patience_seconds,
        )

    def film_recipe(self, folder: Path) -> FilmRecipe:
        """What films are made within, in that folder."""
        return FilmRecipe(
            bucket=self.s3_bucket_media,
            folder=folder,
            folder_bytes=FILM_BYTES,
            max_original_bytes=self.max_video_bytes,
            max_seconds=self.max_video_seconds,
            asset_timeout_seconds=self.asset_timeout_seconds,
            transcoder_patience_seconds=self.decoder_patience_seconds,
        )

    @property
    def lifetime(self) -> Lifetime:
        """When the process ends; the hard limit is that of the Job (`activeDeadlineSeconds`)."""
        return Lifetime(
            idle=self.idle_seconds,
            lifetime=self.max_lifetime_seconds,
            hard_limit=self.max_lifetime_seconds + 2 * self.asset_timeout_seconds,
            drain=self.drain_seconds,
        )

    @property
    def storage_threads(self) -> int:
        """Calls to object storage at once: as many as can be wanted, within reason."""
        return min(32, self.prefetch + self.concurrency * (1 + len(self.renditions)))
