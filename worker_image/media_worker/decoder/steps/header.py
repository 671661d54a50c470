"""Header: which format it really is, how many pixels and frames it claims. Nothing is decoded before it has passed."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import pillow_heif
from PIL import (
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from media_core.reasons import Reason
from media_worker.decoder.formats import CONTENT_TYPES, OPENED_AS, PREFIX_BYTES, Format, sniff
from media_worker.decoder.gif import count_frames
from media_worker.decoder.limits import check_frames, check_pixels
from media_worker.decoder.protocol import DecodeRefused, Limits

# The library imports its parts when they are first needed, which a confined child cannot: they are here beforehand.
# TIFF is no format that is opened; EXIF is written in it.
LOADED = (GifImagePlugin, JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
Image.preinit()

# One image has one core. Embedded thumbnails are another picture than the one that is shown: never decoded.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
"""What the imaging library raises on bytes that are not what they should be."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that may be decoded: within every limit, its pixels still packed."""

    image: Image.Image
    frames: int


def open_header(file: BinaryIO, content_type: str, limits: Limits) -> Opened:
    """Raises DecodeRefused. The imaging library's own bomb check is held to the same limit, as a second net."""
    format_ = _format(file, content_type)
    try:
        with _library_limit(limits.max_pixels):
            image = Image.open(file, formats=(format_.value,))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DecodeRefused(Reason.TOO_MANY_PIXELS, _bomb(str(error), limits)) from None
    except UnidentifiedImageError:
        message = f"The file begins like a {format_} image, but its header is broken."
        raise DecodeRefused(Reason.UNDECODABLE, message) from None
    if OPENED_AS.get(image.format or "") is not format_:
        message = f"The file is declared as {content_type}, but it is a {image.format} image."
        raise DecodeRefused(Reason.UNSUPPORTED_FORMAT, message)
    check_pixels(limits, *image.size)
    frames = _frames(image, file, format_, limits)
    check_frames(limits, *image.size, frames)
    return Opened(image, frames)


@contextmanager
def _library_limit(max_pixels: int) -> Iterator[None]:
    """The library warns above its limit; here that is an error. Its other remarks are of no use here."""
    usual, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = usual


def _format(file: BinaryIO, content_type: str) -> Format:
    declared = CONTENT_TYPES.get(content_type)
    if declared is None:
        message = f"{content_type} is not decoded here; {', '.join(CONTENT_TYPES)} are."
        raise DecodeRefused(Reason.UNSUPPORTED_FORMAT, message)
    if file.seek(0, os.SEEK_END) == 0:
        raise DecodeRefused(Reason.UNDECODABLE, "The file is empty: it has 0 bytes.")
    file.seek(0)
    found = sniff(file.read(PREFIX_BYTES))
    file.seek(0)
    if found is not declared:
        seen = f"those of a {found} image" if found else "not those of any image that is decoded here"
        message = f"The file is declared as {content_type}, but its first bytes are {seen}."
        raise DecodeRefused(Reason.UNSUPPORTED_FORMAT, message)
    return declared


def _frames(image: Image.Image, file: BinaryIO, format_: Format, limits: Limits) -> int:
    """Counted, never decoded. Only a GIF has to be walked for it: its header does not say."""
    if format_ is Format.JPEG:
        return 1
    if format_ is Format.GIF:
        position = file.tell()
        file.seek(0)
        frames = count_frames(file, at_most=limits.max_frames + 1)
        file.seek(position)
        return max(1, frames)
    return max(1, int(getattr(image, "n_frames", 1)))


def _bomb(text: str, limits: Limits) -> str:
    claimed = next((word.strip("(") for word in text.split() if word.strip("(").isdigit()), None)
    pixels = f"{claimed} pixels" if claimed else "too many pixels"
    return f"The image has {pixels}; {limits.max_pixels} are allowed."
