"""Real files with random damage: every one gets an answer, and the decoder is there afterwards."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from media_core.renditions import DEFAULT_RENDITIONS
from media_worker.decoder.client import DecodeRefused
from media_worker.decoder.formats import CONTENT_TYPES, Format
from media_worker.decoder.protocol import Limits
from support.decoding import Decoder, serving
from support.images import animated, camera_exif, encoded, endless_gif, gradient, swapping_profile

SECONDS = 2.0
TYPE_OF = {format_: content_type for content_type, format_ in CONTENT_TYPES.items()}
LIMITS = Limits(max_pixels=4_000_000, max_frames=100, timeout_seconds=20)


def seeds(format_: Format) -> list[bytes]:
    """Small files with as many kinds of chunk as the format has."""
    extras = {"exif": camera_exif(6).tobytes(), "icc_profile": swapping_profile()}
    files = [encoded(gradient(160, 120), format_.value)]
    match format_:
        case Format.GIF:
            files += [animated("GIF"), endless_gif(20)]
        case Format.JPEG:
            files += [
                encoded(gradient(160, 120), "JPEG", progressive=True, **extras),
                encoded(gradient(64, 64).convert("CMYK"), "JPEG"),
                encoded(gradient(64, 64), "MPO", save_all=True, append_images=[gradient(32, 32)]),
            ]
        case Format.PNG:
            files += [animated("PNG"), encoded(gradient(64, 64).convert("P"), "PNG", **extras)]
        case Format.WEBP | Format.AVIF:
            files += [animated(format_.value), encoded(gradient(64, 64).convert("RGBA"), format_.value, **extras)]
        case Format.HEIF:
            files += [encoded(gradient(64, 64).convert("RGBA"), "HEIF", **extras)]
    return files


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file with something wrong in it, mostly where its structure is: near the start."""
    raw = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = min(len(raw) - 1, int(len(raw) * chance.random() ** 3))
        match chance.randrange(5):
            case 0:
                raw[at] = chance.randrange(256)
            case 1:
                raw[at : at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\1"))
            case 2:
                del raw[at : at + chance.randrange(1, 40)]
            case 3:
                raw[at:at] = raw[at : at + chance.randrange(1, 40)]
            case _:
                raw[at] ^= 1 << chance.randrange(8)
        if len(raw) < 2:
            return bytes(data[:1])
    return bytes(raw[: chance.randrange(1, len(raw))] if chance.random() < 0.1 else raw)


async def outcome(decoder: Decoder, data: bytes, content_type: str) -> str:
    try:
        made = await decoder.decode(data, content_type, limits=LIMITS)
    except DecodeRefused as refused:
        return str(refused.reason) if refused.message else "refused without a word"
    assert [variant.name for variant in made.variants] == [rendition.name for rendition in DEFAULT_RENDITIONS]
    return "ok"


@pytest.mark.parametrize("format_", list(Format))
async def test_every_damaged_file_is_answered_and_none_stops_the_decoder(tmp_path: Path, format_: Format) -> None:
    chance, files = random.Random(f"damage {format_}"), seeds(format_)
    counted: Counter[str] = Counter()
    async with serving(tmp_path) as decoder:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            batch = [damaged(chance.choice(files), chance) for _ in range(20)]
            async with asyncio.timeout(60):
                counted.update(await asyncio.gather(*(outcome(decoder, data, TYPE_OF[format_]) for data in batch)))
        assert await outcome(decoder, files[0], TYPE_OF[format_]) == "ok"
    assert counted.total() >= 20
    assert counted["ok"], "the damage is not so great that nothing is ever decoded"
    assert counted["Undecodable"]
    assert not counted["InternalError"]
    assert not counted["refused without a word"]
