"""Frames: what goes in comes out, and what is no frame is said to be none."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_worker.decoder.frames import MAX_HEADER_BYTES, WireBroken, header_length, pack, unpack
from media_worker.decoder.wire import read_body, read_header

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=6))
def test_a_header_comes_out_as_it_went_in(header: dict[str, object]) -> None:
    raw = pack(header)
    assert header_length(raw[:4]) == len(raw) - 4
    assert unpack(raw[4:]) == header


@given(st.binary(min_size=4, max_size=4))
def test_a_length_is_either_within_bounds_or_refused(prefix: bytes) -> None:
    with suppress(WireBroken):
        assert 2 <= header_length(prefix) <= MAX_HEADER_BYTES


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_said_to_be_none(raw: bytes) -> None:
    with suppress(WireBroken):
        assert isinstance(unpack(raw), dict)


def test_deeply_nested_json_is_refused() -> None:
    with pytest.raises(WireBroken):
        unpack(b"[" * 50_000)


async def test_a_connection_that_ends_in_a_header_is_broken() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(struct.pack(">I", 100) + b'{"half":')
    reader.feed_eof()
    with pytest.raises(WireBroken, match="before a header was whole"):
        await read_header(reader)


async def test_a_connection_that_ends_in_a_body_is_broken() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"abc")
    reader.feed_eof()
    with pytest.raises(WireBroken, match="before all bytes were there"):
        await read_body(reader, 4)
