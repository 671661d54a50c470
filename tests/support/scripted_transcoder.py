"""A transcoder that does as the test says, behind the real protocol on a real unix socket; it needs no ffmpeg.

What it leaves in a film's folder is the test's choice as well, so a transcoder that a hostile film has taken over can
be played here.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from media_core.ladder import Film

FILM = Film(320, 180, 0, 8.0, True)
MASTER = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-STREAM-INF:BANDWIDTH=500000,RESOLUTION=320x180\nmaster_180p.m3u8\n"
PLAYLIST = (
    "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PLAYLIST-TYPE:VOD\n"
    "#EXTINF:4.000000,\nmaster_180p_00001.ts\n#EXTINF:4.000000,\nmaster_180p_00002.ts\n#EXT-X-ENDLIST\n"
)
FILES: Mapping[str, bytes] = {
    "hls/master_180p_00001.ts": b"1" * 100,
    "hls/master_180p_00002.ts": b"2" * 50,
    "video.mp4": b"v" * 70,
    "thumbnail.jpg": b"t" * 7,
    "hls/master_180p.m3u8": PLAYLIST.encode(),
    "hls/master.m3u8": MASTER.encode(),
}
"""Of FILM, in the order in which they come."""


@dataclass(slots=True)
class Job:
    """One film in hand."""

    request: dict[str, Any]
    folder: Path
    _writer: asyncio.StreamWriter

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self, files: Mapping[str, bytes] = FILES) -> None:
        """Leave those."""
        for path, content in files.items():
            (self.out / path).parent.mkdir(exist_ok=True)
            (self.out / path).write_bytes(content)

    async def say(self, frame: Mapping[str, Any]) -> None:
        """One frame."""
        text = json.dumps(frame).encode()
        self._writer.write(struct.pack(">I", len(text)) + text)
        await self._writer.drain()

    async def probed(self, film: Film = FILM, **changes: Any) -> None:
        """That it found this film."""
        known = {
            "width": film.width,
            "height": film.height,
            "rotation": film.rotation,
            "durationSeconds": film.duration_seconds,
            "hasAudio": film.has_audio,
        }
        await self.say({"probed": {**known, **changes}})


Script = Callable[[Job], Awaitable[None]]


async def makes(job: Job) -> None:
    """The film."""
    await job.probed()
    await job.say({"percent": 50})
    job.write()
    await job.say({"ok": True})


def leaves(files: Mapping[str, bytes]) -> Script:
    """Those files in place of the film's."""

    async def script(job: Job) -> None:
        await job.probed()
        job.write(files)
        await job.say({"ok": True})

    return script


def does(something: Callable[[Path], object]) -> Script:
    """The film, and then something to its folder."""

    async def script(job: Job) -> None:
        await job.probed()
        job.write()
        something(job.out)
        await job.say({"ok": True})

    return script


def refuses(reason: str, message: str) -> Script:
    """The same refusal for every film."""

    async def script(job: Job) -> None:
        await job.say({"ok": False, "reason": reason, "message": message})

    return script


async def works_forever(job: Job) -> None:
    """It is at half of the film until it is hung up on."""
    await job.probed()
    job.write({path: content for path, content in FILES.items() if path.endswith("00001.ts")})
    await job.say({"percent": 50})
    await asyncio.get_running_loop().create_future()


async def hangs_up(job: Job) -> None:
    """The connection ends in the middle of a film, as when the container is killed."""
    await job.probed()


@dataclass(slots=True)
class ScriptedTranscoder:
    """`async with ScriptedTranscoder(socket, folder) as transcoder:`; set `script` at any time."""

    socket: Path
    folder: Path
    script: Script = makes
    jobs: list[Job] = field(default_factory=list)
    hung_up: int = 0
    """Films that the worker gave up by hanging up."""
    lingers: float = 0.0
    """Seconds that a film takes to end after that."""
    _server: asyncio.Server | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, str(self.socket))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.socket.unlink(missing_ok=True)

    async def asked(self, count: int = 1, seconds: float = 20.0) -> None:
        """Wait until so many films were asked for."""
        async with asyncio.timeout(seconds):
            while len(self.jobs) < count:
                self._changed.clear()
                await self._changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readexactly(*struct.unpack(">I", await reader.readexactly(4))))
        job = Job(request, self.folder / request["film"], writer)
        self.jobs.append(job)
        self._changed.set()
        working = asyncio.ensure_future(self.script(job))
        leaving = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                self.hung_up += 1
                await asyncio.sleep(self.lingers)
            else:
                working.result()
        finally:
            working.cancel()
            leaving.cancel()
            writer.close()
