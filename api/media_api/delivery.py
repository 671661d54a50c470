"""What is handed out of an asset, under which URL, as which content type, inline or as an attachment. Pure.

Only what a row vouches for is handed out: its original, and the renditions its status names. The content type is the
one found in the first bytes (originals) or the one we made (renditions), never what an uploader or S3 says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from media_api.ledger import VISIBLE, Row
from media_api.models import AssetAnswer, PlaybackAnswer, VariantAnswer
from media_core import ladder
from media_core.asset import AssetType, TranscodeStatus, Variant
from media_core.keys import EXTENSIONS, film_key, rendition_key, video_base
from media_core.renditions import THUMBNAIL

SERVE, STREAM = "/media/serve/", "/media/stream/"
_INLINE = ("image/", "video/")
_MADE: Mapping[str, str] = {"webp": "image/webp", "m4s": "video/iso.segment", **ladder.CONTENT_TYPES}
"""Content types of what is made here, by extension."""
_FILM_FILES: Mapping[str, str] = {"video": ladder.VIDEO, THUMBNAIL: ladder.THUMBNAIL}
"""The variants of a film that are one file each; every other one is a rung: a playlist and its segments."""
CACHE_SECONDS = 300
"""How long a file that is passed through may be shown after its asset was deleted."""
PLAYLIST_CACHE_SECONDS = 10
_UNSAFE_IN_HEADER = re.compile(r"[^A-Za-z0-9 ._()-]")


@dataclass(frozen=True, slots=True)
class Delivery:
    """An object that may be handed out. `etag` pins the bytes that were checked, where they are known."""

    key: str
    content_type: str
    disposition: str
    etag: str | None

    @property
    def cache_control(self) -> str:
        """For caches of what is passed through. A segment is never another one, a playlist says which there are."""
        match self.key.rpartition(".")[2]:
            case "m3u8":
                return f"public, max-age={PLAYLIST_CACHE_SECONDS}"
            case "ts" | "m4s":
                return f"public, max-age={CACHE_SECONDS}, immutable"
            case _:
                return f"public, max-age={CACHE_SECONDS}"


def of_original(row: Row) -> Delivery | None:
    """The original of a row that is visible."""
    if row.state not in VISIBLE or row.content_type not in EXTENSIONS:
        return None
    inline = row.content_type.startswith(_INLINE)
    return Delivery(row.s3_key, row.content_type, disposition(row.original_filename, inline=inline), row.etag)


def of_rendition(row: Row, key: str) -> Delivery | None:
    """A rendition, if the row is visible and names it."""
    content_type = _MADE.get(key.rpartition(".")[2])
    if row.state not in VISIBLE or content_type is None:
        return None
    made = _is_of_film(row, key) if row.asset_type is AssetType.VIDEO else _is_of_picture(row, key)
    return Delivery(key, content_type, "inline", None) if made or _is_legacy(row, key) else None


def rendition_of(row: Row, variant: Variant) -> str:
    """Key of a rendition of that row; of a rung of a film it is the key of its playlist."""
    if row.asset_type is AssetType.VIDEO:
        path = _FILM_FILES.get(variant.name) or ladder.playlist_path(variant.name)
        return film_key(row.owner, str(row.id), path)
    return rendition_key(row.asset_type, row.owner, str(row.id), variant.name)


def playback(row: Row, base_url: str) -> PlaybackAnswer:
    """What a page needs to show the asset."""
    return PlaybackAnswer(**_shown(row, base_url))


def asset(row: Row, base_url: str) -> AssetAnswer:
    """The same and everything else, for its owner."""
    return AssetAnswer(
        **_shown(row, base_url),
        original_filename=row.original_filename,
        content_type=row.content_type,
        size_bytes=row.size_bytes,
        s3_key=row.s3_key,
        attempts=row.attempts,
        created_at=row.created_at,
        confirmed_at=row.confirmed_at,
        started_at=row.started_at,
        settled_at=row.settled_at,
    )


def disposition(filename: str | None, *, inline: bool) -> str:
    """Content-Disposition with the user's name of the file in both forms of RFC 6266, plain and encoded."""
    kind = "inline" if inline else "attachment"
    if not filename:
        return kind
    plain = _UNSAFE_IN_HEADER.sub("_", filename)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _shown(row: Row, base_url: str) -> dict[str, object]:
    result = row.status.result if row.status and row.transcode_status is TranscodeStatus.COMPLETED else None
    video = row.status.video if row.status else None
    processing = row.transcode_status is TranscodeStatus.PROCESSING
    variants = [
        VariantAnswer(
            name=variant.name,
            key=rendition_of(row, variant),
            url=base_url + _url_of(rendition_of(row, variant)),
            width=variant.width,
            height=variant.height,
            bytes=variant.bytes,
        )
        for variant in _variants(row)
    ]
    thumbnail = next((variant.url for variant in variants if variant.name == THUMBNAIL), None)
    return {
        "asset_id": row.id,
        "transcode_status": row.transcode_status,
        "hls_url": _hls(row, base_url) or _legacy(row, "hlsUrl", base_url),
        "thumbnail_url": thumbnail or _legacy(row, "thumbnailUrl", base_url),
        "original_url": base_url + SERVE + row.s3_key,
        "asset_type": row.asset_type,
        "message": row.message,
        "reason": row.reason,
        "variants": variants,
        "width": result.width if result else None,
        "height": result.height if result else None,
        "frames": result.frames if result and row.asset_type is not AssetType.VIDEO else None,
        "placeholder": result.placeholder if result else None,
        "dominant_color": result.dominant_color if result else None,
        "progress_percent": video.progress_percent if video and processing else None,
        "duration_seconds": video.duration_seconds if video else None,
    }


def _variants(row: Row) -> tuple[Variant, ...]:
    if row.transcode_status is not TranscodeStatus.COMPLETED or row.status is None or row.status.result is None:
        return ()
    return row.status.result.variants


def _hls(row: Row, base_url: str) -> str | None:
    """The playlist of a film that has rungs."""
    if row.asset_type is not AssetType.VIDEO or not _rungs(row):
        return None
    return base_url + STREAM + film_key(row.owner, str(row.id), ladder.MASTER)


def _url_of(key: str) -> str:
    """Playlists are passed through, since a redirect would change what their segments are relative to."""
    return (STREAM if key.endswith(".m3u8") else SERVE) + key


def _rungs(row: Row) -> frozenset[str]:
    return frozenset(variant.name for variant in _variants(row)) - _FILM_FILES.keys()


def _is_of_picture(row: Row, key: str) -> bool:
    return key in (rendition_of(row, variant) for variant in _variants(row))


def _is_of_film(row: Row, key: str) -> bool:
    """The files its variants name, and of each rung the playlist and every segment."""
    base = video_base(row.owner, str(row.id))
    path = key.removeprefix(base)
    if path == key:
        return False
    if path == ladder.MASTER:
        return bool(_rungs(row))
    if (rung := ladder.rung_of(path)) is not None:
        return rung in _rungs(row)
    return path in (_FILM_FILES.get(variant.name) for variant in _variants(row))


def _legacy(row: Row, name: str, base_url: str) -> str | None:
    url = row.legacy.get(name)
    return base_url + url if url and url.startswith("/") else url


def _is_legacy(row: Row, key: str) -> bool:
    """Made by the service before this one: the thumbnail, and everything beside the HLS playlist."""
    thumbnail, playlist = (_legacy_key(row, name) for name in ("thumbnailUrl", "hlsUrl"))
    folder = playlist.rpartition("/")[0] if playlist else ""
    return key == thumbnail or bool(folder and key.startswith(folder + "/"))


def _legacy_key(row: Row, name: str) -> str | None:
    url = row.legacy.get(name, "")
    _, found, key = url.partition(SERVE) if SERVE in url else url.partition(STREAM)
    return key if found else None
