"""What may be uploaded, and whether what was uploaded is what was announced. Pure decisions, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media_api.problems import Problem, ProblemType
from media_api.sniffing import sniff
from media_core.asset import AssetType
from media_core.keys import EXTENSIONS

_FAMILY: Mapping[AssetType, str] = {AssetType.IMAGE: "image/", AssetType.VIDEO: "video/"}
_DOCUMENTS: Mapping[AssetType, tuple[str, ...]] = {
    AssetType.PDF: ("application/pdf",),
    AssetType.SCORM: ("application/zip", "application/x-zip-compressed"),
}
_SAME: tuple[frozenset[str], ...] = (
    # Cameras and browsers use the two names for the same files.
    frozenset({"image/heic", "image/heif"}),
    frozenset({"application/zip", "application/x-zip-compressed"}),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest size by type, in bytes."""

    max_bytes: Mapping[AssetType, int]


@dataclass(frozen=True, slots=True)
class Announced:
    """What the client said about a file when it asked for the upload."""

    asset_type: AssetType
    content_type: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What is in object storage: one answer of S3, so that size, ETag and first bytes are of the same file."""

    size_bytes: int
    etag: str
    version_id: str | None
    head: bytes


def content_types(asset_type: AssetType) -> tuple[str, ...]:
    """The content types a file of that type may have."""
    if family := _FAMILY.get(asset_type):
        return tuple(name for name in EXTENSIONS if name.startswith(family))
    return _DOCUMENTS[asset_type]


def refuse_announced(announced: Announced, limits: Limits) -> Problem | None:
    """Why such a file cannot be uploaded; None where it can."""
    accepted = content_types(announced.asset_type)
    if announced.content_type not in accepted:
        detail = (
            f"{announced.content_type} cannot be uploaded as {announced.asset_type.value}; "
            f"accepted are {', '.join(accepted)}."
        )
        return Problem(
            ProblemType.UNSUPPORTED_CONTENT_TYPE, detail, actual=announced.content_type, accepted=list(accepted)
        )
    if announced.size_bytes is not None:
        return _too_large(announced.asset_type, announced.size_bytes, limits)
    return None


def refuse_found(announced: Announced, found: Found, limits: Limits) -> Problem | None:
    """Why what was uploaded is not accepted; None where it is."""
    if found.size_bytes == 0:
        return Problem(ProblemType.EMPTY_FILE, f"The file has 0 bytes. {_UPLOAD_ANEW}", limit=1, actual=0)
    if problem := _too_large(announced.asset_type, found.size_bytes, limits):
        return problem
    if announced.size_bytes not in (None, found.size_bytes):
        detail = f"Declared were {announced.size_bytes} bytes, but the file has {found.size_bytes}. {_UPLOAD_ANEW}"
        return Problem(ProblemType.SIZE_MISMATCH, detail, declared=announced.size_bytes, actual=found.size_bytes)
    sniffed = sniff(found.head)
    if sniffed is None or not same_type(sniffed, announced.content_type):
        seen = sniffed or "none of the types that can be uploaded"
        detail = f"Declared was {announced.content_type}, but the first bytes are {seen}. {_UPLOAD_ANEW}"
        return Problem(ProblemType.WRONG_CONTENT, detail, declared=announced.content_type, actual=sniffed)
    return None


_UPLOAD_ANEW = "An upload URL takes one file only, so ask for a new upload."


def same_type(one: str, other: str) -> bool:
    """Whether two content types name the same kind of file."""
    return one == other or any({one, other} <= names for names in _SAME)


def _too_large(asset_type: AssetType, size: int, limits: Limits) -> Problem | None:
    limit = limits.max_bytes[asset_type]
    if size <= limit:
        return None
    detail = f"A file of type {asset_type.value} may have {limit} bytes, and this one has {size}."
    return Problem(ProblemType.TOO_LARGE, detail, limit=limit, actual=size)
