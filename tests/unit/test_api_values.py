"""Cursors, request models, dispositions: what comes from outside, made harmless."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from media_api.delivery import disposition
from media_api.models import UploadRequest
from media_api.paging import Cursor


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_survives_the_way_to_the_client_and_back(created_at: datetime, asset_id: UUID) -> None:
    cursor = Cursor(created_at, asset_id)
    assert Cursor.decode(cursor.encode()) == cursor


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda plain: base64.urlsafe_b64encode(plain).decode()))
def test_what_is_no_cursor_is_refused_and_never_an_accident(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.decode(text)


def test_a_cursor_without_a_time_zone_is_refused() -> None:
    plain = b'["2026-01-01T00:00:00", "11111111-1111-4111-8111-111111111111"]'
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.decode(base64.urlsafe_b64encode(plain).decode())


def wanted(**fields: object) -> UploadRequest:
    plain = {"asset_type": "IMAGE", "content_type": "image/png", "original_filename": "a.png"}
    return UploadRequest.model_validate({**plain, **fields})


def test_a_digest_is_taken_in_both_forms() -> None:
    digest = hashlib.sha256(b"x")
    encoded = base64.b64encode(digest.digest()).decode()
    assert wanted(sha256=digest.hexdigest()).sha256 == encoded
    assert wanted(sha256=digest.hexdigest().upper()).sha256 == encoded
    assert wanted(sha256=encoded).sha256 == encoded


@pytest.mark.parametrize("digest", ["", "zz", "ab" * 31, "ab" * 32 + "a", base64.b64encode(b"x" * 31).decode()])
def test_a_digest_of_another_length_is_refused(digest: str) -> None:
    with pytest.raises(ValidationError, match=r"SHA-256|at most"):
        wanted(sha256=digest)


def test_the_content_type_is_compared_without_regard_to_case() -> None:
    assert wanted(content_type="Image/PNG").content_type == "image/png"


@given(
    st.text(min_size=1, max_size=255).filter(lambda name: not any(0xD800 <= ord(letter) <= 0xDFFF for letter in name))
)
def test_no_file_name_can_break_out_of_the_header(name: str) -> None:
    header = disposition(name, inline=False)
    assert header.isascii()
    assert header.isprintable()
    assert header.startswith('attachment; filename="')
    assert header.count('"') == 2


def test_a_file_without_a_name_has_a_plain_disposition() -> None:
    assert disposition(None, inline=True) == "inline"
