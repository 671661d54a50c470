"""The JSON of the API: requests as they are checked, answers as they are documented in /openapi.json."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from media_core.asset import AssetType, TranscodeStatus

_HEX_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")


def _sha256(given: str) -> str:
    """Base64, as S3 wants it, of either form."""
    try:
        digest = bytes.fromhex(given) if _HEX_SHA256.fullmatch(given) else base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise ValueError("it is no SHA-256 digest: 64 hexadecimal digits, or 32 bytes in base64")
    return base64.b64encode(digest).decode()


def _printable(given: str) -> str:
    if _UNPRINTABLE.search(given):
        raise ValueError("it has control characters")
    return given


class Answer(BaseModel):
    """The base of what is answered."""

    model_config = ConfigDict(frozen=True)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, keys in the order they are declared in."""
        return self.model_dump(mode="json")


class UploadRequest(BaseModel):
    """What is to be uploaded."""

    model_config = ConfigDict(frozen=True)

    asset_type: AssetType = Field(description="What kind of media it is.")
    content_type: Annotated[str, AfterValidator(str.lower)] = Field(
        description="Content type of the file; the upload has to carry it, and the file has to be it.",
        min_length=3,
        max_length=127,
        pattern=r"^[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+$",
        examples=["image/png"],
    )
    original_filename: Annotated[str, AfterValidator(_printable)] = Field(
        description="Name of the file, for people; it is never part of a key.",
        min_length=1,
        max_length=255,
        examples=["photo.png"],
    )
    size_bytes: int | None = Field(
        None, description="Size of the file; when declared, S3 accepts no other.", ge=1, le=1 << 53, strict=True
    )
    sha256: Annotated[str, AfterValidator(_sha256)] | None = Field(
        None,
        description="SHA-256 of the file, hexadecimal or base64; when declared, S3 accepts no other.",
        max_length=64,
    )


class ConfirmRequest(BaseModel):
    """Which upload is finished."""

    model_config = ConfigDict(frozen=True)

    asset_id: UUID = Field(description="The id the upload was given.")


class UploadAnswer(Answer):
    """Where to put the file."""

    asset_id: UUID = Field(description="Id of the asset.")
    upload_url: str = Field(description="Presigned URL for one PUT of the file.")
    s3_key: str = Field(description="Key the file will have.")
    expires_in: int = Field(description="Seconds the URL can be used.")
    method: str = Field("PUT", description="Method of the upload.")
    required_headers: dict[str, str] = Field(
        description="Headers the upload has to carry, exactly so; they are signed."
    )


class StatusAnswer(Answer):
    """Where an asset stands."""

    asset_id: UUID
    transcode_status: TranscodeStatus
    reason: str | None = Field(None, description="Why, in one word for programs.")
    message: str | None = Field(None, description="Why, in a sentence for people.")


class DeletedAnswer(Answer):
    """A deletion that was accepted; the media are gone a moment later."""

    asset_id: UUID
    state: str = Field("deleting", description="Always `deleting`.")


class VariantAnswer(Answer):
    """One rendition: of an image a picture; of a video a rung (its playlist), the MP4, or the thumbnail."""

    name: str
    key: str
    url: str
    width: int
    height: int
    bytes: int


class PlaybackAnswer(Answer):
    """Everything a page needs to show an asset."""

    asset_id: UUID
    transcode_status: TranscodeStatus
    hls_url: str | None = Field(description="HLS playlist of a transcoded video.")
    thumbnail_url: str | None = Field(description="Smallest picture of it.")
    original_url: str = Field(description="The file as it was uploaded.")
    asset_type: AssetType
    message: str | None = Field(description="Where it stands, in a sentence for people.")
    reason: str | None = Field(description="Where it stands, in one word for programs.")
    variants: list[VariantAnswer] = Field(description="What was made of it, once it is completed.")
    width: int | None = Field(description="Width as shown, in pixels.")
    height: int | None = Field(description="Height as shown, in pixels.")
    frames: int | None = Field(description="Frames of an animation; 1 for a still, null for a video.")
    placeholder: str | None = Field(description="ThumbHash of the picture, base64.")
    dominant_color: str | None = Field(description="Dominant colour, as in CSS.")
    progress_percent: int | None = Field(description="How much of a video is transcoded, while it is processed.")
    duration_seconds: int | None = Field(description="Length of a video, once it is known.")


class AssetAnswer(PlaybackAnswer):
    """All there is to know of an asset, for its owner."""

    original_filename: str | None
    content_type: str | None = Field(description="Content type found in the first bytes.")
    size_bytes: int | None
    s3_key: str
    attempts: int = Field(description="Runs charged to it.")
    created_at: datetime
    confirmed_at: datetime | None
    started_at: datetime | None
    settled_at: datetime | None = Field(description="When it was completed or failed.")


class AssetPage(Answer):
    """A page of an owner's assets, newest first."""

    assets: list[AssetAnswer]
    next_cursor: str | None = Field(description="Cursor of the next page; null on the last.")


class FieldError(Answer):
    """What is wrong with one field."""

    field: str
    message: str


class ProblemAnswer(Answer):
    """An error, as RFC 9457 has it."""

    type: str = Field(description="Stable name of the kind of problem; see the table in docs/api.md.")
    title: str
    status: int
    detail: str = Field(description="What is wrong and what can be done, in a sentence.")
    request_id: str | None = None
    errors: list[FieldError] | None = Field(None, description="By field, where the request is not valid.")
    limit: int | None = Field(None, description="The limit that was hit.")
    actual: int | str | None = Field(None, description="What was found instead.")
