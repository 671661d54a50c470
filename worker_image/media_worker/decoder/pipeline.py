"""The recipe: one image's bytes in, its renditions out. Runs in a child of the decoder and nowhere else.

Header and limits, plan, decode, shrink, upright, sRGB, then every rendition from the next larger one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from PIL import Image

from media_core.reasons import Reason
from media_worker.decoder.geometry import Size, plan
from media_worker.decoder.protocol import Decoded, DecodeRefused, Request
from media_worker.decoder.steps.encode import encode
from media_worker.decoder.steps.header import BROKEN, open_header
from media_worker.decoder.steps.impression import dominant_color, placeholder, small
from media_worker.decoder.steps.load import load
from media_worker.decoder.steps.picture import Picture
from media_worker.decoder.steps.shrink import shrink
from media_worker.decoder.steps.srgb import in_srgb
from media_worker.decoder.steps.upright import upright

RECIPE_VERSION = 3
"""Raised whenever the same original would give other renditions."""

STEPS: tuple[Callable[[Picture], Picture], ...] = (shrink, upright, in_srgb)

_OUT_OF_MEMORY = ("out of memory", "memory allocation", "cannot allocate")


def render(file: BinaryIO, request: Request) -> Decoded:
    """Everything that is made of one image. Raises DecodeRefused, and MemoryError when memory runs out."""
    frames, picture = _decode(file, request)
    for step in STEPS:
        picture = step(picture)
    variants, smallest = encode(picture)
    impression = small(smallest)
    return Decoded(
        width=picture.plan.original.width,
        height=picture.plan.original.height,
        frames=frames,
        placeholder=placeholder(impression),
        dominant_color=dominant_color(impression),
        recipe_version=RECIPE_VERSION,
        variants=variants,
    )


def _decode(file: BinaryIO, request: Request) -> tuple[int, Picture]:
    """The part that reads the file: whatever goes wrong in it is the file's fault.

    The number of frames, and the only reference to the pixels: the first step that needs fewer of them frees these.
    """
    try:
        opened = open_header(file, request.content_type, request.limits)
        return opened.frames, load(opened.image, plan(Size(*opened.image.size), request.renditions))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DecodeRefused(Reason.TOO_MANY_PIXELS, f"The image is larger inside than it says: {error}") from None
    except PermissionError:
        raise  # a system call was refused: not the image's fault
    except BROKEN as error:
        said = _sentence(error)
        if any(sign in said.lower() for sign in _OUT_OF_MEMORY):
            raise MemoryError(said) from error
        raise DecodeRefused(Reason.UNDECODABLE, f"The image cannot be decoded: {said}.") from error


def _sentence(error: Exception) -> str:
    """What the imaging library said, as far as it can be shown: never the bytes of the file."""
    text = "".join(char if char.isprintable() else " " for char in str(error))[:200].strip().rstrip(".")
    return text or type(error).__name__
