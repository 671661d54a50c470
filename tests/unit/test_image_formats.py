"""What a file is, by its first bytes; how many frames a GIF has, without decoding one."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from media_worker.decoder.formats import CONTENT_TYPES, PREFIX_BYTES, Format, sniff
from media_worker.decoder.gif import count_frames
from support.images import animated, encoded, endless_gif, gradient


@pytest.mark.parametrize("format_", list(Format))
def test_every_format_that_is_decoded_is_recognised(format_: Format) -> None:
    data = encoded(gradient(32, 32), format_.value)
    assert sniff(data[:PREFIX_BYTES]) is format_
    assert format_ in CONTENT_TYPES.values()


@pytest.mark.parametrize("format_", ["BMP", "TIFF", "PPM", "ICO", "PDF", "TGA", "EPS"])
def test_no_other_format_is_recognised(format_: str) -> None:
    assert sniff(encoded(gradient(32, 32), format_)[:PREFIX_BYTES]) is None


@pytest.mark.parametrize("data", [b"", b"<svg", b"%PDF-1.7", b"\xff\xd8", b"\0\0\0\x18ftypisom", b"RIFF\0\0\0\0WAVE"])
def test_rubbish_is_not_recognised(data: bytes) -> None:
    assert sniff(data) is None


def test_a_generic_container_is_what_its_compatible_brands_say() -> None:
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf") is Format.AVIF
    assert sniff(b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf") is Format.HEIF


@given(st.binary(max_size=64))
def test_any_bytes_can_be_sniffed(data: bytes) -> None:
    assert sniff(data) in (None, *Format)


@pytest.mark.parametrize("frames", [1, 2, 7, 30])
def test_the_frames_of_a_gif_are_counted(frames: int) -> None:
    data = animated("GIF", frames)
    with Image.open(BytesIO(data)) as image:
        assert count_frames(BytesIO(data), at_most=1000) == getattr(image, "n_frames", 1) == frames


def test_counting_stops_at_its_bound() -> None:
    assert count_frames(BytesIO(endless_gif(100_000)), at_most=1001) == 1001


def test_a_gif_that_is_cut_off_has_the_frames_that_are_there() -> None:
    data = animated("GIF", 10)
    counts = [count_frames(BytesIO(data[:length]), at_most=1000) for length in range(len(data) + 1)]
    assert counts == sorted(counts)
    assert counts[-1] == 10


@given(st.binary(max_size=300))
def test_counting_ends_on_any_bytes(data: bytes) -> None:
    assert count_frames(BytesIO(b"GIF89a" + data), at_most=50) <= 50
