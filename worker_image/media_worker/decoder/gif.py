"""How many frames a GIF has, by walking over its blocks. No frame is decoded, and the walk stops at a bound.

The imaging library counts too, but without a bound: a small file can hold millions of empty frames.
"""

from __future__ import annotations

from typing import BinaryIO

_IMAGE, _EXTENSION = 0x2C, 0x21
_HEADER_BYTES, _DESCRIPTOR_BYTES = 13, 9
_HAS_COLOURS, _COLOURS_EXPONENT = 0x80, 0x07


def count_frames(file: BinaryIO, at_most: int) -> int:
    """Frames of the GIF `file` is at the start of, up to `at_most`; of a cut-off file those that are there."""
    header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES:
        return 0
    _skip_colours(file, header[10])
    frames = 0
    while frames < at_most:
        kind = file.read(1)
        if kind == bytes([_IMAGE]):
            descriptor = file.read(_DESCRIPTOR_BYTES)
            if len(descriptor) < _DESCRIPTOR_BYTES:
                break
            frames += 1
            _skip_colours(file, descriptor[8])
            file.seek(1, 1)  # LZW code size
            _skip_blocks(file)
        elif kind == bytes([_EXTENSION]):
            file.seek(1, 1)  # label
            _skip_blocks(file)
        else:  # the trailer, the end of the file, or rubbish
            break
    return frames


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & _HAS_COLOURS:
        file.seek(3 << ((flags & _COLOURS_EXPONENT) + 1), 1)


def _skip_blocks(file: BinaryIO) -> None:
    while (length := file.read(1)) not in (b"", b"\0"):
        file.seek(length[0], 1)
