"""One file all the way: announced, put, confirmed, waited for. Its answer is a value, whatever happened to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from media_api.models import PlaybackAnswer
from media_core.asset import AssetType, TranscodeStatus
from media_devcluster.client import POLL_SECONDS, SETTLED, Client, Refused
from media_devcluster.guessing import Media, Unusable, look_at

AT_ONCE = 8
WAITING_AT_FULL_PACE = 20
"""Up to so many files are polled for every 50 ms each; more of them share the same number of requests."""
WAIT_SECONDS = 180.0


class Progress(Protocol):
    """Who is told how far each file is."""

    def sent(self, file: Path, done: int, total: int) -> None:
        """So many bytes are in object storage."""

    def now(self, file: Path, state: str) -> None:
        """It has come to this state."""

    def said(self, file: Path, sentence: str) -> None:
        """What is said of a film while it is transcoded, which takes its time."""


class Silent:
    """Tells nobody."""

    def sent(self, file: Path, done: int, total: int) -> None:
        """Nothing."""

    def now(self, file: Path, state: str) -> None:
        """Nothing."""

    def said(self, file: Path, sentence: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Carried:
    """What became of a file. `asset_id` is None where it was refused before it had one."""

    file: Path
    status: TranscodeStatus
    message: str
    asset_id: str | None = None
    media: Media | None = None
    playback: PlaybackAnswer | None = None
    confirmed_at: float | None = None
    """When the confirm was sent, by the monotonic clock."""
    confirm_seconds: float | None = None
    """Until it was answered."""
    seconds: float | None = None
    """Until playback showed the settled state (or was asked for the last time)."""

    @property
    def completed(self) -> bool:
        """Whether it is ready to be shown."""
        return self.status is TranscodeStatus.COMPLETED

    def to_json(self) -> dict[str, Any]:
        """The row of `--json`."""
        shown = self.playback
        return {
            "file": str(self.file),
            "asset_id": self.asset_id,
            "transcode_status": self.status.value,
            "message": self.message,
            "thumbnail_url": shown.thumbnail_url if shown else None,
            "hls_url": shown.hls_url if shown else None,
            "variants": [
                {"name": v.name, "key": v.key, "width": v.width, "height": v.height, "bytes": v.bytes}
                for v in (shown.variants if shown else [])
            ],
            "seconds": round(self.seconds, 3) if self.seconds is not None else None,
        }


async def carry_all(
    client: Client, files: Sequence[Path], *, wait_seconds: float = WAIT_SECONDS, progress: Progress | None = None
) -> list[Carried]:
    """All files, some at once; one that is refused does not stop the others. With 0 seconds none is waited for."""
    gate = asyncio.Semaphore(AT_ONCE)
    told = progress or Silent()
    pause = POLL_SECONDS * max(1.0, len(files) / WAITING_AT_FULL_PACE)

    async def carry(file: Path) -> Carried:
        async with gate:
            sent = await _send(client, file, told)
        if sent.confirmed_at is None or wait_seconds <= 0:
            return sent
        return await _settle(client, sent, sent.confirmed_at, wait_seconds, pause, told)

    return list(await asyncio.gather(*(carry(file) for file in files)))


async def _send(client: Client, file: Path, told: Progress) -> Carried:
    """Until it is confirmed."""
    asset_id: str | None = None
    media: Media | None = None
    try:
        media = await asyncio.to_thread(look_at, file)
        told.sent(file, 0, media.size_bytes)
        told.now(file, "uploading")
        upload = await client.announce(media)
        asset_id = str(upload.asset_id)
        await client.put(media, upload, partial(told.sent, file, total=media.size_bytes))
        asked = time.monotonic()
        await client.confirm(asset_id)
    except (Refused, Unusable) as error:
        told.now(file, "refused")
        return Carried(file, TranscodeStatus.FAILED, str(error), asset_id, media)
    told.now(file, "confirmed")
    took = time.monotonic() - asked
    return Carried(
        file, TranscodeStatus.PENDING, "Confirmed.", asset_id, media, confirm_seconds=took, confirmed_at=asked
    )


async def _settle(
    client: Client, sent: Carried, asked: float, wait_seconds: float, pause: float, told: Progress
) -> Carried:
    """Until playback shows it settled, or the time is over."""

    def seen(answer: PlaybackAnswer) -> None:
        told.now(sent.file, answer.transcode_status.value.lower())
        if answer.asset_type is AssetType.VIDEO and (sentence := _how_far(answer)):
            told.said(sent.file, sentence)

    try:
        shown = await client.settled(sent.asset_id, wait_seconds, seen, pause)
    except Refused as error:
        told.now(sent.file, "lost")
        return replace(sent, status=TranscodeStatus.FAILED, message=str(error))
    took = time.monotonic() - asked
    message = shown.message or ""
    if shown.transcode_status not in SETTLED:
        message = f"Not settled after {wait_seconds:.0f} s. {message}".strip()
    return replace(sent, status=shown.transcode_status, message=message, playback=shown, seconds=took)


def _how_far(answer: PlaybackAnswer) -> str:
    """What there is to say of a film that is not settled yet."""
    percent = f"{answer.progress_percent} %" if answer.progress_percent is not None else ""
    return " · ".join(word for word in (percent, answer.message or "") if word)
