"""The player page's files, read once at start-up and handed out by name: what is not among them is not there.

Apart from `routes.player`, which serves them, because this knows nothing of requests: names, bytes, ETags, and the
Content-Security-Policy that lets a page reach this service and the object storage behind it, and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "web"
VENDOR = "vendor"
"""What scripts/web_assets.py puts there; without it films are played as MP4 only."""
_CONTENT_TYPES: Mapping[str, str] = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent."""

    content_type: str
    body: bytes
    zipped: bytes
    etag: str


def load(folder: Path = FOLDER) -> Mapping[str, File]:
    """Every file by its name; the page's own win over those of others."""
    paths = [*(folder / VENDOR).glob("*"), *folder.glob("*")]
    return {path.name: _file(path) for path in paths if path.suffix in _CONTENT_TYPES and path.is_file()}


def policy(origins: Iterable[str], ancestors: Iterable[str] = ()) -> str:
    """Content-Security-Policy of a page that also talks to these origins and may be framed by those.

    Nothing inline, neither script nor style. `blob:` is what a MediaSource is played by; the worker is a file.
    """
    others = " ".join(sorted({origin for origin in origins if origin}))
    reached = f"'self' {others}".strip()
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {reached}",
            f"media-src {reached} blob:",
            f"connect-src {reached}",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {' '.join(ancestors) or chr(39) + 'none' + chr(39)}",
        )
    )


def _file(path: Path) -> File:
    body = path.read_bytes()
    etag = hashlib.sha256(body).hexdigest()[:32]
    return File(_CONTENT_TYPES[path.suffix], body, gzip.compress(body, mtime=0), etag)
