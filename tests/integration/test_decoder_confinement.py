"""What code that took a decoder over would find: no secret, no way out, no more memory than it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_core.reasons import Reason
from media_worker.decoder.confinement import Confinement
from media_worker.decoder.protocol import DecodeRefused
from support.decoding import serving
from support.images import encoded, gradient

REFUSED_BY_THE_KERNEL = (
    "read a file",
    "write a file",
    "read the environment of its parent",
    "read its own memory map",
    "list a folder",
    "open a socket",
    "open a unix socket",
    "signal its parent",
    "fork",
    "start a program",
    "become root",
    "make a memory file",
    "change the limits of its parent",
)


async def test_from_inside_a_decoder_there_is_nothing_to_find_and_no_way_out(tmp_path: Path) -> None:
    async with serving(tmp_path, probing=True) as decoder:
        seen = await decoder.order("look around")
    assert seen["environment"] == {}
    assert seen["descriptors"][:3] == [0, 1, 2]
    assert len(seen["descriptors"]) == 5, "the standard streams, which lead nowhere, the socket, and the image"
    outcomes = seen["outcomes"]
    assert {name: outcomes[name] for name in REFUSED_BY_THE_KERNEL} == dict.fromkeys(
        REFUSED_BY_THE_KERNEL, "PermissionError"
    )
    assert outcomes["raise its own limits"] in ("ValueError", "PermissionError")
    assert outcomes["allocate beyond its memory"] == "MemoryError"


async def test_the_standard_streams_of_a_decoder_lead_nowhere(tmp_path: Path) -> None:
    async with serving(tmp_path, probing=True, children=1) as decoder:
        pid = (await decoder.order("say who"))["pid"]
        assert [_stream(pid, number) for number in (0, 1, 2)] == ["/dev/null"] * 3


async def test_a_decoder_is_born_without_an_environment(tmp_path: Path) -> None:
    async with serving(tmp_path, probing=True, children=1) as decoder:
        pids = ((await decoder.order("say who"))["pid"], decoder.nursery.pid)
        assert [_first_environment(pid) for pid in pids] == [b"", b""]


async def test_an_image_that_needs_more_memory_than_a_child_has_is_refused_and_others_are_not(tmp_path: Path) -> None:
    large = encoded(gradient(6000, 5000), "PNG", compress_level=1)
    async with serving(tmp_path, bounds=Confinement(memory_bytes=160 << 20, cpu_seconds=60)) as decoder:
        with pytest.raises(DecodeRefused) as refused:
            await decoder.decode(large, "image/png")
        assert refused.value.reason is Reason.DECODER_OUT_OF_MEMORY
        assert "160 MiB" in refused.value.message
        assert (await decoder.decode(encoded(gradient(300, 200), "PNG"), "image/png")).width == 300


def _stream(pid: int, number: int) -> str:
    return str(Path(f"/proc/{pid}/fd/{number}").readlink())


def _first_environment(pid: int) -> bytes:
    """As it was when the program was started."""
    return Path(f"/proc/{pid}/environ").read_bytes()
