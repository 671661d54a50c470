"""A service whose videos go to a MediaConvert double: its operator, the double, and what both say of a video."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_core.asset import AssetType
from media_devcluster.mediaconvert.jobs import Job
from media_devcluster.mediaconvert.service import MediaConvertDouble
from media_devcluster.objectstore import S3
from support.backends import Gate, PostgresServer
from support.clips import clip
from support.deadlines import eventually
from support.service import Object, Service, running_service

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
ROLE = "arn:aws:iam::123456789012:role/media"
POLL_SECONDS = 1


@dataclass(frozen=True)
class PollerSite:
    """The service and the double beside it."""

    service: Service
    double: MediaConvertDouble
    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        """What an operator is told of the double."""
        return {
            "MEDIA_VIDEO_BACKEND": "mediaconvert",
            "MEDIA_VIDEO_POLL_SECONDS": str(POLL_SECONDS),
            "MEDIACONVERT_ENDPOINT": self.double.url,
            "MEDIACONVERT_ROLE_ARN": ROLE,
        }

    async def operator(self, **settings: str) -> None:
        """Start the operator in this process."""
        await self.service.here.start(**{**self.settings, **settings})

    async def film(self, **making: Any) -> str:
        """Upload a clip of two seconds; the asset's id."""
        path = await asyncio.to_thread(
            lambda: clip(self.folder, **{"width": 320, "height": 180, "seconds": 2.0, **making})
        )
        return await self.upload(path.read_bytes())

    async def upload(self, data: bytes, **spec: Any) -> str:
        """Upload bytes as a video."""
        return await self.service.upload(data, asset_type=AssetType.VIDEO, content_type="video/mp4", **spec)

    def jobs(self, asset_id: str = "") -> list[Job]:
        """The double's jobs of an asset, or of all."""
        return [job for job in self.double.jobs.all() if asset_id in ("", job.metadata.get("assetId"))]

    async def submitted(self, asset_id: str, seconds: float = 30.0) -> Object:
        """Its status as soon as its job's id is known."""
        return await self.service.until(asset_id, lambda status: (status.get("video") or {}).get("jobId"), seconds)

    async def polled(self, rounds: int = 2, seconds: float = 20.0) -> None:
        """Until the double was listed that often again."""
        wanted = self.double.calls["ListJobs"] + rounds

        async def so() -> bool:
            return self.double.calls["ListJobs"] >= wanted

        await eventually(so, seconds)


@asynccontextmanager
async def poller_site(postgres: PostgresServer, store: S3, folder: Path, **options: Any) -> AsyncIterator[PollerSite]:
    """A running site; its operator is started by the test."""
    async with (
        postgres.migrated_database() as database_url,
        Gate(postgres.address) as gate,
        MediaConvertDouble(store, folder / "double", **options) as double,
        running_service(CRDS, folder / "service", database_url=database_url, gate=gate, store=store) as service,
    ):
        yield PollerSite(service, double, folder)
