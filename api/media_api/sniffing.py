"""Sniffing: the content type of a file by its first bytes, never by what somebody says about it.

The `filetype` library knows most of it. What it cannot tell apart well enough for this service is looked at here:
the brands of ISO media files (HEIC, AVIF, MP4 and QuickTime are one container), the two kinds of Matroska, and
archives, which are packages here whatever is in them.
"""

from __future__ import annotations

from collections.abc import Mapping

import filetype

HEAD_BYTES = 64 * 1024
"""How much of a file is looked at."""

_BRANDS: Mapping[bytes, str] = {
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1", b"miaf"), "image/heif"),
    b"qt  ": "video/quicktime",
    **dict.fromkeys(
        (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"dash", b"M4V ", b"mmp4", b"MSNV"),
        "video/mp4",
    ),
}
_GENERIC_BRANDS = frozenset({b"mif1", b"msf1", b"miaf"})
_KNOWN = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_EBML = b"\x1a\x45\xdf\xa3"


def sniff(head: bytes) -> str | None:
    """The content type, of those that can be uploaded; None for everything else."""
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    if head.startswith(b"PK\x03\x04"):
        return "application/zip"
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head.startswith(_EBML):
        return _matroska(head)
    guess = filetype.guess_mime(head)
    # An animated PNG is a PNG to everybody but the library.
    guess = "image/png" if guess == "image/apng" else guess
    return guess if guess in _KNOWN else None


def _iso_media(head: bytes) -> str | None:
    """By the major brand; a generic one says less than the compatible brands behind it."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    compatible = [head[at : at + 4] for at in range(16, length - 3, 4)]
    candidates = [*compatible, major] if major in _GENERIC_BRANDS else [major, *compatible]
    specific = [brand for brand in candidates if brand in _BRANDS and brand not in _GENERIC_BRANDS]
    generic = [brand for brand in candidates if brand in _GENERIC_BRANDS]
    found = next(iter(specific or generic), None)
    return _BRANDS[found] if found else None


def _matroska(head: bytes) -> str | None:
    """By the DocType in the EBML header."""
    start = head.find(b"\x42\x82", 0, 64)
    if start < 0:
        return None
    doctype = head[start + 3 : start + 11]
    if doctype.startswith(b"webm"):
        return "video/webm"
    return "video/x-matroska" if doctype.startswith(b"matroska") else None
