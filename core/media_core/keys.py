"""Keys in object storage: how they are made, and which ones are ours.

Keys are computed from asset id, owner and variant name. No worker and no request ever names one, so a hostile
worker or client cannot point the service at somebody else's bytes. The layout is the seed's: `uploads/…` for
originals, `processed/…` for what is made of them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from media_core.asset import AssetType

_SAFE_OWNER = re.compile(r"(?!s_)[A-Za-z0-9_-]{1,63}")
_ORIGINAL = re.compile(r"uploads/(image|video|pdf|scorm)/[A-Za-z0-9_-]{1,64}/[A-Za-z0-9_-]{1,128}\.[a-z0-9]{1,8}")
_RENDITION = re.compile(
    r"processed/(?P<type>image|video|pdf|scorm)/(?P<owner>[A-Za-z0-9_-]{1,64})/"
    r"(?P<asset>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<path>[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*\.[a-z0-9]{1,8})"
)
_FILM = re.compile(
    r"hls/master(?:_[a-z0-9]{1,16})?\.m3u8|hls/master_[a-z0-9]{1,16}_[0-9]{5}\.ts|video\.mp4|thumbnail(?:\.0{7})?\.jpg"
)
MAX_KEY_LENGTH = 512

EXTENSIONS: dict[str, str] = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/heif": "heif",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/x-matroska": "mkv",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/x-zip-compressed": "zip",
}
"""Content types that may be uploaded, and the extension their originals get."""


def owner_segment(owner: str) -> str:
    """The owner as one path segment; a subject with other characters is replaced by a digest of it.

    A subject that itself looks like a digest is replaced too, so that no two owners share a segment.
    """
    if _SAFE_OWNER.fullmatch(owner):
        return owner
    return "s_" + hashlib.sha256(owner.encode()).hexdigest()[:40]


def original_key(asset_type: AssetType, owner: str, asset_id: UUID, content_type: str, now: datetime) -> str:
    """Key of an original. Raises KeyError for a content type that may not be uploaded."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    extension = EXTENSIONS[content_type]
    return f"uploads/{asset_type.lower()}/{owner_segment(owner)}/{stamp}_{asset_id.hex}.{extension}"


def rendition_key(asset_type: AssetType, owner: str, asset_id: str, variant: str) -> str:
    """Key of an image's rendition."""
    return f"processed/{asset_type.lower()}/{owner_segment(owner)}/{asset_id}/{variant}.webp"


def video_base(owner: str, asset_id: str) -> str:
    """The folder of everything that is made of a video; ends with a slash."""
    return f"processed/video/{owner_segment(owner)}/{asset_id}/"


def film_key(owner: str, asset_id: str, path: str) -> str:
    """Key of one of the files that are made of a video. Raises ValueError for a path that no ladder gives."""
    if not _FILM.fullmatch(path):
        raise ValueError(f"{path!r} is no file of a film")
    return video_base(owner, asset_id) + path


@dataclass(frozen=True, slots=True)
class OriginalKey:
    """A key that has the form of an original; the ledger knows whose it is."""

    key: str


@dataclass(frozen=True, slots=True)
class RenditionKey:
    """A key that has the form of a rendition, and the asset it would belong to."""

    key: str
    asset_type: AssetType
    owner_segment: str
    asset_id: UUID


def parse(key: str) -> OriginalKey | RenditionKey | None:
    """What a key is by its form; None for one that is not ours (too long, traversal, other characters)."""
    if len(key) > MAX_KEY_LENGTH:
        return None
    if _ORIGINAL.fullmatch(key):
        return OriginalKey(key)
    if found := _RENDITION.fullmatch(key):
        return RenditionKey(key, AssetType(found["type"].upper()), found["owner"], UUID(found["asset"]))
    return None
