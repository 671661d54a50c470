"""The decoder's server against images that crash, hang and eat memory, and against callers that make no sense."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest

from media_core.reasons import Reason
from media_core.renditions import DEFAULT_RENDITIONS
from media_worker.decoder.client import DecoderClient, DecodeRefused, DecoderUnavailable
from media_worker.decoder.confinement import Confinement
from media_worker.decoder.listener import Offer
from media_worker.decoder.protocol import Decoded, Limits
from media_worker.original import Original
from support.deadlines import eventually
from support.decoding import Decoder, serving
from support.images import encoded, gradient, png_bomb
from support.originals import open_files, still_open
from support.probing_zygote import PREFIX

GOOD = encoded(gradient(200, 150), "JPEG")
HEADER: dict[str, Any] = {
    "renditions": [{"name": "thumbnail", "size": 150}],
    "contentType": "image/jpeg",
    "limits": {"maxPixels": 50_000_000, "maxFrames": 1000, "timeoutSeconds": 30},
    "bytes": 0,
}


@pytest.fixture
async def decoder(tmp_path: Path) -> AsyncIterator[Decoder]:
    async with serving(tmp_path, probing=True) as running:
        yield running


async def refusal(decoder: Decoder, word: str, seconds: int = 30) -> DecodeRefused:
    with pytest.raises(DecodeRefused) as refused:
        await decoder.order(word, seconds=seconds)
    return refused.value


def asked(**changes: Any) -> bytes:
    text = json.dumps({**HEADER, **changes}).encode()
    return struct.pack(">I", len(text)) + text


@pytest.mark.failure("F2")
@pytest.mark.parametrize(
    ("word", "reason", "said"),
    [
        ("segfault", Reason.DECODER_CRASHED, "SIGSEGV"),
        ("abort", Reason.DECODER_CRASHED, "SIGABRT"),
        ("leave", Reason.DECODER_CRASHED, "exit code 3"),
        ("break down", Reason.DECODER_CRASHED, "KeyError"),
        ("lie", Reason.DECODER_CRASHED, "makes no sense"),
        ("allocate", Reason.DECODER_OUT_OF_MEMORY, "1024 MiB"),
        ("be killed", Reason.DECODER_OUT_OF_MEMORY, "killed by the system"),
    ],
)
async def test_a_child_that_dies_on_an_image_is_a_reason_and_is_replaced(
    decoder: Decoder, word: str, reason: Reason, said: str
) -> None:
    for _ in range(3):
        refused = await refusal(decoder, word)
        assert refused.reason is reason
        assert said in refused.message
    assert (await decoder.decode(GOOD)).width == 200


@pytest.mark.failure("F14")
@pytest.mark.parametrize("word", ["spin", "sleep"])
async def test_a_child_that_takes_too_long_is_killed_and_replaced(decoder: Decoder, word: str) -> None:
    refused = await refusal(decoder, word, seconds=1)
    assert refused.reason is Reason.DEADLINE_EXCEEDED
    assert refused.message == "The image was not decoded within 1 s."
    assert (await decoder.decode(GOOD)).width == 200


async def test_processor_time_is_limited_for_each_image(tmp_path: Path) -> None:
    bounds = Confinement(memory_bytes=1 << 30, cpu_seconds=1)
    async with serving(tmp_path, probing=True, children=1, bounds=bounds) as decoder:
        refused = await refusal(decoder, "spin")
        assert refused.reason is Reason.DEADLINE_EXCEEDED
        assert "1 s of processor time" in refused.message
        assert (await decoder.decode(GOOD)).width == 200


async def test_a_caller_that_hangs_up_gets_its_child_killed_and_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path, probing=True, children=1) as decoder:
        before = (await decoder.order("say who"))["pid"]
        assert _processor_time(before) < 0.1
        spinning = asyncio.create_task(decoder.order("spin", seconds=600))
        await eventually(lambda: _processor_time(before) > 0.3)
        spinning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await spinning
        async with asyncio.timeout(10):
            after = (await decoder.order("say who"))["pid"]
        assert after != before
        await eventually(lambda: not _alive(before))


async def test_a_caller_that_hangs_up_while_it_waits_costs_nobody_anything(tmp_path: Path) -> None:
    async with serving(tmp_path, probing=True, children=1) as decoder:
        first = (await decoder.order("say who"))["pid"]
        waiting = [asyncio.create_task(decoder.decode(GOOD)) for _ in range(5)]
        waiting[3].cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(result, Decoded) for result in results] == [True, True, True, False, True]
        assert isinstance(first, int)


async def test_fifty_good_bad_and_crashing_images_at_once_are_all_answered(decoder: Decoder) -> None:
    kinds: list[tuple[bytes, str | None]] = [
        (GOOD, None),
        (GOOD[:-100], "Undecodable"),
        (b"", "Undecodable"),
        (b"nothing", "UnsupportedFormat"),
        (PREFIX + b"segfault", "DecoderCrashed"),
        (PREFIX + b"allocate", "DecoderOutOfMemory"),
        (PREFIX + b"leave", "DecoderCrashed"),
        (encoded(gradient(1500, 1000), "JPEG"), None),
        (PREFIX + b"sleep", "DeadlineExceeded"),
        (PREFIX + b"be killed", "DecoderOutOfMemory"),
    ]

    async def outcome(payload: bytes) -> str | None:
        try:
            await decoder.decode(payload, limits=Limits(timeout_seconds=2 if payload.endswith(b"sleep") else 60))
        except DecodeRefused as refused:
            return str(refused.reason)
        return None

    wanted = [kind for _ in range(5) for kind in kinds]
    async with asyncio.timeout(90):
        outcomes = await asyncio.gather(*(outcome(payload) for payload, _ in wanted))
    assert outcomes == [expected for _, expected in wanted]
    assert (await decoder.decode(GOOD)).width == 200


async def test_a_child_has_its_share_of_images_and_is_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path, probing=True, children=1, images_per_child=3) as decoder:
        pids = [(await decoder.order("say who"))["pid"] for _ in range(7)]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


async def test_a_child_that_is_killed_while_idle_is_replaced_when_it_is_wanted(tmp_path: Path) -> None:
    async with serving(tmp_path, probing=True, children=1) as decoder:
        pid = (await decoder.order("say who"))["pid"]
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not _alive(pid))
        assert (await decoder.order("say who"))["pid"] != pid


async def test_a_zygote_that_dies_is_started_anew(decoder: Decoder) -> None:
    first = decoder.nursery.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)

    async def served_again() -> bool:
        try:
            return (await decoder.decode(GOOD)).width == 200
        except (DecodeRefused, DecoderUnavailable):
            return False

    await eventually(served_again)
    assert decoder.nursery.pid != first


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        pytest.param(asked(bytes=-1), "bytes", id="negative size"),
        pytest.param(asked(bytes=1 << 80), "bytes", id="absurd size"),
        pytest.param(asked(renditions=[]), "renditions", id="no renditions"),
        pytest.param(asked(renditions=[{"name": str(n), "size": 1} for n in range(500)]), "renditions", id="too many"),
        pytest.param(asked(limits={"maxPixels": "all"}), "maxPixels", id="limits that are none"),
        pytest.param(struct.pack(">I", 4) + b"[[[[", "JSON", id="no JSON"),
        pytest.param(struct.pack(">I", 4) + b"1234", "object", id="no object"),
        pytest.param(struct.pack(">I", 0), "0 bytes", id="no header"),
        pytest.param(struct.pack(">I", 0xFFFFFFFF) + b"{}", "4294967295", id="a header of four gigabytes"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "allowed", id="another protocol"),
    ],
)
async def test_a_request_that_makes_no_sense_gets_an_answer_that_says_so(
    decoder: Decoder, raw: bytes, said: str
) -> None:
    with Original.of(b"") as original:
        answer = await decoder.say(raw, original.file)
    assert answer["ok"] is False
    assert answer["reason"] == "InternalError"
    assert said in answer["message"]
    assert (await decoder.decode(GOOD)).width == 200


def sealed(seals: int) -> int:
    """GOOD in a file in memory with those seals only."""
    file = os.memfd_create("original", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(file, GOOD)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file


def on_disk() -> int:
    """GOOD in a file that is not in memory."""
    with TemporaryFile() as file:
        file.write(GOOD)
        file.flush()
        return os.dup(file.fileno())


def proper() -> int:
    """As it must be."""
    return sealed(fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)


FILES: list[tuple[str, list[Callable[[], int]], int, str]] = [
    ("no file", [], len(GOOD), "one file must come with it"),
    ("two files", [proper, proper], len(GOOD), "one file must come with it"),
    ("a hundred files", [proper] * 100, len(GOOD), "one file must come with it"),
    ("a file on disk", [on_disk], len(GOOD), "not sealed"),
    ("no file at all but a folder", [lambda: os.open("/", os.O_RDONLY)], 0, "not sealed"),
    ("a file that only has a name", [lambda: os.open("/dev/null", os.O_PATH)], 0, "not sealed"),
    ("a file that nothing is sealed of", [lambda: sealed(0)], len(GOOD), "not sealed"),
    (
        "a file that can still be written to",
        [lambda: sealed(fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)],
        len(GOOD),
        "not sealed",
    ),
    (
        "a file that can still be cut off",
        [lambda: sealed(fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW)],
        len(GOOD),
        "not sealed",
    ),
    (
        "a file that can still grow",
        [lambda: sealed(fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)],
        len(GOOD),
        "not sealed",
    ),
    ("a file with less in it than is said", [proper], len(GOOD) + 1, f"has {len(GOOD)} bytes, not {len(GOOD) + 1}"),
    ("a file with more in it than is said", [proper], 1, f"has {len(GOOD)} bytes, not 1"),
]


@pytest.mark.parametrize(("files", "size", "said"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
async def test_a_request_without_a_file_that_stays_as_its_header_says_makes_no_sense(
    decoder: Decoder, files: list[Callable[[], int]], size: int, said: str
) -> None:
    with ExitStack() as opened:
        descriptors = [make() for make in files]
        for descriptor in descriptors:
            opened.callback(os.close, descriptor)
        answer = await decoder.say(asked(bytes=size), *descriptors)
    assert answer["ok"] is False
    assert answer["reason"] == "InternalError"
    assert said in answer["message"]
    assert (await decoder.decode(GOOD)).width == 200
    await eventually(lambda: not still_open())


async def test_an_original_is_decoded_again_from_its_beginning_wherever_the_first_time_ended(decoder: Decoder) -> None:
    for payload, width in ((GOOD, 200), (PREFIX + b"say who", 1)):
        with Original.of(payload) as original:
            for offset in (0, 3, original.size):
                os.lseek(original.file, offset, os.SEEK_SET)
                decoded = await decoder.client.decode(
                    original, content_type="image/jpeg", renditions=DEFAULT_RENDITIONS, limits=Limits()
                )
                assert decoded.width == width


async def test_whatever_is_asked_no_file_stays_open_for_it(tmp_path: Path) -> None:
    async with serving(tmp_path, probing=True, children=1) as decoder:

        async def refused(payload: bytes) -> None:
            with pytest.raises(DecodeRefused):
                await decoder.decode(payload)

        async def broken_off(raw: bytes, original: Original) -> None:
            _, writer = await decoder.called(raw, original.file)
            writer.close()
            await writer.wait_closed()

        seen = (await decoder.order("look around"))["descriptors"]
        before = len(open_files())
        with Original.of(GOOD) as original:
            for _ in range(10):
                await decoder.decode(GOOD)
                await refused(b"nothing")
                await refused(GOOD[:-100])
                await decoder.say(asked(bytes=1), original.file)
                await decoder.say(asked(bytes=-1), original.file)
                await decoder.say(b"GET / HTTP/1.1\r\n\r\n", *[original.file] * 5)
            assert (await decoder.order("look around"))["descriptors"] == seen, "nor in the child"
            for raw in (b"\0", asked()[:20], asked(bytes=original.size), asked(bytes=1)):
                for _ in range(5):
                    await broken_off(raw, original)
            await refused(PREFIX + b"segfault")
        await eventually(lambda: not still_open())
        await decoder.decode(GOOD)
        assert len(open_files()) == before


async def test_a_file_above_the_bound_is_refused_without_being_read(tmp_path: Path) -> None:
    async with serving(tmp_path, offer=Offer(max_payload_bytes=1 << 20)) as decoder:
        with pytest.raises(DecodeRefused) as refused:
            await decoder.decode(b"\xff\xd8\xff" + bytes(30 << 20))
        assert refused.value.reason is Reason.TOO_LARGE
        assert "1048576 are allowed" in refused.value.message


async def test_callers_that_leave_in_the_middle_harm_nobody(decoder: Decoder) -> None:
    with Original.of(GOOD) as original:
        for raw in (b"", b"\0", struct.pack(">I", 100) + b"{", asked(bytes=original.size)):
            _, writer = await decoder.called(raw, original.file)
            writer.close()
            await writer.wait_closed()
    assert (await decoder.decode(GOOD)).width == 200


async def test_connections_beyond_the_bound_wait_for_their_turn(tmp_path: Path) -> None:
    async with serving(tmp_path, offer=Offer(max_connections=2)) as decoder:
        silent = [await asyncio.open_unix_connection(str(decoder.path)) for _ in range(2)]
        waiting = asyncio.create_task(decoder.decode(GOOD))
        await asyncio.wait({waiting}, timeout=0.3)
        assert not waiting.done()
        for _, writer in silent:
            writer.close()
        assert (await waiting).width == 200


async def test_a_bomb_is_refused_by_its_header(decoder: Decoder) -> None:
    with pytest.raises(DecodeRefused) as refused:
        await decoder.decode(png_bomb(30000, 30000), "image/png")
    assert refused.value.reason is Reason.TOO_MANY_PIXELS


async def test_without_a_decoder_the_client_says_that_there_is_none(tmp_path: Path) -> None:
    with Original.of(GOOD) as original, pytest.raises(DecoderUnavailable, match="No decoder answers"):
        await DecoderClient(str(tmp_path / "nothing.sock")).decode(
            original, content_type="image/jpeg", renditions=(), limits=Limits()
        )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _processor_time(pid: int) -> float:
    """Seconds in user mode: a child that spins has some soon, one without an image gets no more."""
    user_ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]
    return int(user_ticks) / os.sysconf("SC_CLK_TCK")
