"""Which formats are decoded, and how a file of each begins. No other decoder of the imaging library is ever asked."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

PREFIX_BYTES = 32


class Format(StrEnum):
    """A format by the imaging library's name."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WEBP"
    GIF = "GIF"
    AVIF = "AVIF"
    HEIF = "HEIF"


CONTENT_TYPES: Mapping[str, Format] = {
    "image/jpeg": Format.JPEG,
    "image/png": Format.PNG,
    "image/webp": Format.WEBP,
    "image/gif": Format.GIF,
    "image/avif": Format.AVIF,
    "image/heic": Format.HEIF,
    "image/heif": Format.HEIF,
}

OPENED_AS: Mapping[str, Format] = {**{format_.value: format_ for format_ in Format}, "MPO": Format.JPEG}
"""Many phones append a second picture to a JPEG; the library opens that as MPO."""

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})


def sniff(prefix: bytes) -> Format | None:
    """The format that a file's first bytes say it has."""
    if prefix.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if prefix.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if prefix.startswith((b"GIF87a", b"GIF89a")):
        return Format.GIF
    if prefix[:4] == b"RIFF" and prefix[8:12] == b"WEBP":
        return Format.WEBP
    if prefix[4:8] == b"ftyp":
        return _by_brands(prefix)
    return None


def _by_brands(prefix: bytes) -> Format | None:
    """A generic major brand (mif1) says only that it is an image; the compatible brands after it say which."""
    major = prefix[8:12]
    if major in _AVIF_BRANDS:
        return Format.AVIF
    if major not in _HEIF_BRANDS:
        return None
    compatible = {prefix[at : at + 4] for at in range(16, len(prefix) - 3, 4)}
    return Format.AVIF if major in (b"mif1", b"msf1") and compatible & _AVIF_BRANDS else Format.HEIF
