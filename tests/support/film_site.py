"""What a worker of films meets beside what every worker meets: the disk that it shares with a transcoder."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.worker_site import Ground, Site, WorkerProcess


@dataclass(slots=True)
class FilmSite:
    """A site whose Job makes films. Its transcoder has its socket and the shared disk in `place`."""

    site: Site
    place: Path

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, ground: Ground) -> AsyncIterator[FilmSite]:
        """A new Job's."""
        async with ground.site() as site:
            place = site.socket.parent
            (place / "film").mkdir()
            yield cls(site, place)

    @property
    def folder(self) -> Path:
        """The shared disk."""
        return self.place / "film"

    async def bound(self, film: bytes = b"a film", content_type: str = "video/mp4", **source: Any) -> str:
        """A video that is bound to the Job."""
        return await self.site.bound(body=film, content_type=content_type, **source)

    @contextlib.asynccontextmanager
    async def worker(self, **settings: str) -> AsyncIterator[WorkerProcess]:
        """A worker process of the Job."""
        own = {"MEDIA_FILM_FOLDER": str(self.folder), "MEDIA_PREFETCH": "0", **settings}
        async with self.site.worker(**own) as worker:
            yield worker

    def stored(self, asset_id: str) -> dict[str, bytes]:
        """What is stored of it, by its path below the film's folder."""
        return self.site.renditions(asset_id, "video")

    def content_types(self, asset_id: str) -> dict[str, tuple[str, str]]:
        """Content type and cache control of what is stored of it."""
        found = {}
        for path in self.stored(asset_id):
            key = f"processed/video/alice/{asset_id}/{path}"
            head = self.site.s3.head_object(Bucket=self.site.bucket, Key=key)
            found[path] = (head["ContentType"], head["CacheControl"])
        return found

    def leftovers(self) -> list[str]:
        """What lies on the shared disk."""
        return sorted(path.name for path in self.folder.iterdir())
