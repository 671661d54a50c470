"""The way of one asset, with object storage and a decoder in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from media_core.asset import AssetType, MediaAsset, Source
from media_core.reasons import Reason
from media_core.renditions import Rendition
from media_worker.calls import StorageUnavailable
from media_worker.carrying import Stopwatch
from media_worker.decoder.client import Decoded, DecodeRefused, DecoderUnavailable, EncodedVariant
from media_worker.decoder.protocol import Limits
from media_worker.original import Original
from media_worker.rendering import Recipe, Rendering
from media_worker.report import Completed, Failed, GivenBack, Outcome
from support.build import to_carry
from support.originals import content, still_open

ASSET_ID = "00000000-0000-4000-8000-000000000001"
DECODED = Decoded(
    width=40,
    height=30,
    frames=1,
    placeholder="3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    dominant_color="#336699",
    recipe_version=1,
    variants=(EncodedVariant("thumbnail", 4, 3, b"small"), EncodedVariant("large", 40, 30, b"larger")),
)


def asset(**changes: Any) -> MediaAsset:
    return to_carry(AssetType.IMAGE, "uploads/image/alice/20260102T030405_1.jpg", "image/jpeg", **changes)


@dataclass
class Memory:
    """Object storage in memory, in which writing some keys fails."""

    stored: dict[str, bytes] = field(default_factory=dict)
    broken: str = "nothing"
    open_beside_uploads: list[str] = field(default_factory=list)

    async def fetch(self, source: Source) -> Original:
        return Original.of(bytes(source.size_bytes))

    async def put(self, key: str, body: bytes) -> None:
        self.open_beside_uploads += still_open()
        if self.broken in key:
            raise StorageUnavailable("It says 503.")
        self.stored[key] = body


@dataclass
class Obedient:
    """A decoder that answers as it is told, answer after answer."""

    answers: list[Decoded | Exception]
    asked: list[Limits] = field(default_factory=list)

    async def decode(
        self, original: Original, *, content_type: str, renditions: Sequence[Rendition], limits: Limits
    ) -> Decoded:
        assert len(content(original)) == original.size
        self.asked.append(limits)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Free:
    """Always one's turn; notes what happened."""

    seen: list[str] = field(default_factory=list)

    async def fetched(self) -> None:
        self.seen.append("fetched")

    def decoded(self) -> None:
        self.seen.append("decoded")


async def outcome(
    decoder: Any,
    storage: Memory | None = None,
    subject: MediaAsset | None = None,
    seconds: float = 60,
    turns: Any = None,
) -> Outcome:
    recipe = Recipe(
        bucket="media",
        renditions=(Rendition(name="thumbnail", size=4), Rendition(name="large", size=40)),
        max_original_bytes=100,
        max_pixels=1000,
        max_frames=10,
        asset_timeout_seconds=seconds,
        decoder_patience_seconds=0.3,
    )
    rendering = Rendering(recipe, storage or Memory(), decoder)
    watch = Stopwatch(asyncio.get_running_loop().time)
    return await rendering.carry(subject or asset(), turns or Free(), watch)


async def test_every_rendition_is_stored_under_its_computed_key() -> None:
    storage, turns = Memory(), Free()
    done = await outcome(Obedient([DECODED]), storage, turns=turns)
    assert storage.stored == {
        f"processed/image/alice/{ASSET_ID}/thumbnail.webp": b"small",
        f"processed/image/alice/{ASSET_ID}/large.webp": b"larger",
    }
    assert isinstance(done, Completed)
    assert [variant.bytes for variant in done.result.variants] == [5, 6]
    assert turns.seen == ["fetched", "decoded"]


REFUSED: list[tuple[str, MediaAsset, Reason]] = [
    ("a video is not an image", asset(asset_type=AssetType.VIDEO), Reason.UNSUPPORTED_FORMAT),
    ("another bucket is foreign", asset(bucket="other"), Reason.FOREIGN_SOURCE),
    ("a rendition is no original", asset(key=f"processed/image/a/{ASSET_ID}/x.webp"), Reason.FOREIGN_SOURCE),
    ("a traversing key is foreign", asset(key="uploads/image/../x.jpg"), Reason.FOREIGN_SOURCE),
    ("an original over the limit is too large", asset(size_bytes=101), Reason.TOO_LARGE),
]


@pytest.mark.parametrize(("subject", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_is_not_acceptable_fails_unread(subject: MediaAsset, reason: Reason) -> None:
    turns = Free()
    done = await outcome(Obedient([DECODED]), subject=subject, turns=turns)
    assert isinstance(done, Failed)
    assert done.reason is reason
    assert turns.seen == []


ANSWERS: list[tuple[str, str, Callable[[Reason], Outcome]]] = [
    ("Undecodable", "m", lambda reason: Failed(reason, "m")),
    ("UnsupportedFormat", "m", lambda reason: Failed(reason, "m")),
    ("TooManyPixels", "m", lambda reason: Failed(reason, "m")),
    ("TooManyFrames", "m", lambda reason: Failed(reason, "m")),
    ("TooLarge", "m", lambda reason: Failed(reason, "m")),
    ("DeadlineExceeded", "m", lambda reason: Failed(reason, "m")),
    ("DecoderCrashed", "m", lambda reason: GivenBack(reason, "m")),
    ("DecoderOutOfMemory", "m", lambda reason: GivenBack(reason, "m")),
]


@pytest.mark.parametrize(("reason", "message", "expected"), ANSWERS, ids=[row[0] for row in ANSWERS])
async def test_a_refusal_of_the_decoder_decides_the_outcome(
    reason: str, message: str, expected: Callable[[Reason], Outcome]
) -> None:
    assert await outcome(Obedient([DecodeRefused(Reason(reason), message)])) == expected(Reason(reason))


@pytest.mark.parametrize("reason", [Reason.COMPLETED, Reason.STORAGE_UNAVAILABLE, Reason.INTERNAL_ERROR])
async def test_a_reason_that_says_nothing_of_the_image_blames_nobody(reason: Reason) -> None:
    done = await outcome(Obedient([DecodeRefused(reason, "m")]))
    assert done == GivenBack(Reason.INTERNAL_ERROR, f"The decoder gave the reason {reason}: m")


async def test_a_decoder_that_comes_back_is_asked_again() -> None:
    decoder = Obedient([DecoderUnavailable("no socket"), DECODED])
    assert isinstance(await outcome(decoder), Completed)
    assert len(decoder.asked) == 2


async def test_a_decoder_that_stays_away_blames_nobody() -> None:
    done = await outcome(Obedient([DecoderUnavailable("no socket")]))
    assert done == GivenBack(Reason.INTERNAL_ERROR, "The decoder did not answer for 0 s: no socket")


async def test_the_first_rendition_that_cannot_be_stored_gives_the_asset_back() -> None:
    done = await outcome(Obedient([DECODED]), Memory(broken="large"))
    assert done == GivenBack(Reason.STORAGE_UNAVAILABLE, "It says 503.")


class Endless:
    """A decoder that never answers."""

    async def decode(self, original: Original, **asked: Any) -> Decoded:
        return await asyncio.get_running_loop().create_future()


async def test_a_decode_over_its_time_fails() -> None:
    done = await outcome(Endless(), seconds=0.05)
    assert isinstance(done, Failed)
    assert done.reason is Reason.DEADLINE_EXCEEDED


async def test_the_original_is_gone_when_uploading_begins() -> None:
    storage = Memory()
    assert isinstance(await outcome(Obedient([DECODED]), storage), Completed)
    assert len(storage.stored) == 2
    assert storage.open_beside_uploads == []


ENDS: list[tuple[str, Any]] = [
    ("it is refused", Obedient([DecodeRefused(Reason.UNDECODABLE, "m")])),
    ("the decoder stays away", Obedient([DecoderUnavailable("no socket")])),
    ("it takes too long", Endless()),
    ("the worker itself is at fault", Obedient([KeyError("a bug of ours")])),
]


@pytest.mark.parametrize("decoder", [row[1] for row in ENDS], ids=[row[0] for row in ENDS])
async def test_no_original_stays_open_however_its_decoding_ends(decoder: Any) -> None:
    with suppress(KeyError):
        assert not isinstance(await outcome(decoder, seconds=0.5), Completed)
    assert still_open() == []


@dataclass
class Waiting(Free):
    """Nobody's turn ever comes."""

    there: asyncio.Event = field(default_factory=asyncio.Event)

    async def fetched(self) -> None:
        self.there.set()
        await asyncio.get_running_loop().create_future()


async def test_no_original_stays_open_of_an_asset_that_is_stopped_while_it_waits() -> None:
    turns = Waiting()
    carrying = asyncio.create_task(outcome(Endless(), turns=turns))
    await turns.there.wait()
    assert len(still_open()) == 1
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    assert still_open() == []


async def test_the_decoder_is_told_the_time_that_is_left() -> None:
    decoder = Obedient([DECODED])
    await outcome(decoder, seconds=5)
    assert decoder.asked == [Limits(1000, 10, 5)]
