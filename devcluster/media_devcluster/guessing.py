"""What a file is: by its first bytes, and where those say nothing, by its name."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path

import filetype

from media_api.sniffing import sniff
from media_core.asset import AssetType
from media_core.keys import EXTENSIONS

HEAD_BYTES = 8192
_BY_EXTENSION = {f".{extension}": content_type for content_type, extension in reversed(EXTENSIONS.items())}


class Unusable(Exception):
    """The file cannot be uploaded; the text says why."""


@dataclass(frozen=True)
class Media:
    """A file as it is announced to the API."""

    path: Path
    size_bytes: int
    content_type: str
    asset_type: AssetType


def look_at(path: Path) -> Media:
    """Read the first bytes of it. Raises Unusable."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        size = path.stat().st_size
    except FileNotFoundError:
        raise Unusable("There is no such file.") from None
    except IsADirectoryError:
        raise Unusable("It is a folder, not a file.") from None
    except OSError as error:
        raise Unusable(f"It cannot be read: {error.strerror}.") from error
    if not head:
        raise Unusable("The file is empty.")
    content_type = guess(head, path.name)
    if content_type is None:
        raise Unusable("It is no image, video, PDF or zip file by its first bytes or its name.")
    asset_type = asset_type_of(content_type)
    if asset_type is None:
        raise Unusable(f"It is {content_type}; images, videos, PDFs and SCORM packages (zip) can be uploaded.")
    return Media(path, size, content_type, asset_type)


def guess(head: bytes, name: str) -> str | None:
    """Content type of a file that begins so and is called so."""
    # As the API sees it, where it knows the type: it refuses a file that is announced as something else.
    if found := sniff(head) or (filetype.guess_mime(head) if head else None):
        return str(found)
    suffix = Path(name).suffix.lower()
    return _BY_EXTENSION.get(suffix) or mimetypes.guess_type(f"x{suffix}")[0]


def asset_type_of(content_type: str) -> AssetType | None:
    """Under which type it is uploaded."""
    match content_type.partition("/")[0], content_type:
        case "image", _:
            return AssetType.IMAGE
        case "video", _:
            return AssetType.VIDEO
        case _, "application/pdf":
            return AssetType.PDF
        case _, "application/zip" | "application/x-zip-compressed":
            return AssetType.SCORM
        case _:
            return None
