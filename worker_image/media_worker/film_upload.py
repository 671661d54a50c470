"""What comes of a film into object storage: its segments while it is made, the rest when it is whole.

The order is that of trust: whoever finds a playlist finds everything that it names.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from media_core import proof
from media_core.asset import MediaAsset, Result
from media_core.keys import film_key
from media_core.ladder import CONTENT_TYPES, MASTER, THUMBNAIL, VIDEO, Film, Rung, ladder, playlist_path
from media_core.playlist import PlaylistBroken, parse_media
from media_worker.takings import Takings, TakingsRefused

AT_ONCE = 4


class Store(Protocol):
    """Object storage: see `film_transfer.FilmStorage`."""

    async def put(self, key: str, body: bytes, content_type: str) -> None: ...

    async def put_file(self, key: str, file: int, size: int, content_type: str) -> None: ...


class FilmUpload:
    """The files of one film on their way up."""

    def __init__(self, asset: MediaAsset, takings: Takings, store: Store, look_seconds: float) -> None:
        self._asset = asset
        self._takings = takings
        self._store = store
        self._look_seconds = look_seconds
        self._film: Film | None = None
        self._rungs: tuple[Rung, ...] = ()
        self._over = asyncio.Event()
        self._played_seconds = 0.0

    @property
    def duration_seconds(self) -> int:
        """How long the film is: by its container, or where that does not tell, by its segments."""
        told = self._film.duration_seconds if self._film else 0.0
        return round(told or self._played_seconds)

    def expect(self, film: Film) -> None:
        """This film comes; before it is known, nothing is taken."""
        self._film, self._rungs = film, ladder(film)
        self._takings.rungs = frozenset(rung.name for rung in self._rungs)

    def no_more_come(self) -> None:
        """The transcoder is through: what is there now is all."""
        self._over.set()

    async def run(self) -> None:
        """Upload segments until no more come. Raises StorageUnavailable, TakingsRefused and FileShrank."""
        while True:
            last = self._over.is_set()
            await self._put_all(self._takings.new_segments())
            if last:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_seconds):
                    await self._over.wait()

    async def finish(self) -> Result:
        """Upload the rest, the master playlist last. Raises what `run` does."""
        if self._film is None:
            raise TakingsRefused("it was never looked at")
        await self._put(VIDEO)
        await self._put(THUMBNAIL)
        result, playlists = self._proven(self._film)
        for path, text in playlists.items():
            await self._store.put(self._key(path), text.encode(), _content_type(path))
        return result

    def _proven(self, film: Film) -> tuple[Result, dict[str, str]]:
        """What the film amounts to, and its playlists, the master last; every file they name was uploaded."""
        texts = {playlist_path(rung.name): self._takings.playlist(playlist_path(rung.name)) for rung in self._rungs}
        texts[MASTER] = self._takings.playlist(MASTER)
        try:
            named = proof.rungs(texts[MASTER])
            if [(r.name, r.width, r.height) for r in named] != [(r.name, r.width, r.height) for r in self._rungs]:
                raise TakingsRefused(f"{MASTER} names other sizes than those of the ladder")
            files = {rung: proof.segments(rung.name, texts[rung.path]) for rung in named}
            self._played_seconds = parse_media(texts[named[0].path]).seconds
            return proof.result(film.shown, files, self._takings.sizes), texts
        except PlaylistBroken as error:
            raise TakingsRefused(str(error).rstrip(".")) from error

    async def _put_all(self, paths: list[str]) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def put(path: str) -> None:
            async with room:
                await self._put(path)

        async with asyncio.TaskGroup() as uploads:
            for path in paths:
                uploads.create_task(put(path))

    async def _put(self, path: str) -> None:
        with self._takings.opened(path) as taking:
            await self._store.put_file(self._key(path), taking.file, taking.size, _content_type(path))

    def _key(self, path: str) -> str:
        return film_key(self._asset.spec.owner, self._asset.name, path)


def _content_type(path: str) -> str:
    return CONTENT_TYPES[path.rpartition(".")[2]]
