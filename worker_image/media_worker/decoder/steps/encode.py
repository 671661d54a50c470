"""Encode: each size from the next larger one, as WebP made of pixels alone. No metadata can come along."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from media_worker.decoder.geometry import Size
from media_worker.decoder.protocol import EncodedVariant
from media_worker.decoder.steps.fidelity import Fidelity, fidelity
from media_worker.decoder.steps.picture import Picture
from media_worker.decoder.steps.shrink import resized


def encode(picture: Picture) -> tuple[tuple[EncodedVariant, ...], Image.Image]:
    """The variants in the order they were asked for, and the pixels of the smallest."""
    pixels = picture.pixels
    files: dict[Size, bytes] = {}
    for size in picture.plan.descending:
        pixels = resized(pixels, size)
        files[size] = webp(pixels, fidelity(size))
    variants = tuple(
        EncodedVariant(target.name, target.size.width, target.size.height, files[target.size])
        for target in picture.plan.targets
    )
    return variants, pixels


def webp(pixels: Image.Image, wanted: Fidelity) -> bytes:
    """A WebP file of these pixels."""
    file = BytesIO()
    pixels.save(file, "WEBP", quality=wanted.quality, method=wanted.method, exif=b"", xmp=b"", icc_profile=None)
    return file.getvalue()
