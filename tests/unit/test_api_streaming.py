"""Ranges and conditions, decided on size and ETag."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_api.streaming import NotModified, OutOfRange, Send, decide

Outcome = Send | NotModified | OutOfRange


def ask(
    range_: str | None = None, if_range: str | None = None, if_none_match: str | None = None, size: int = 100
) -> Outcome:
    return decide(size=size, etag="abc", range_=range_, if_range=if_range, if_none_match=if_none_match)


WHOLE = Send(0, 99, partial=False)


@pytest.mark.parametrize(
    ("range_", "expected"),
    [
        (None, WHOLE),
        ("bytes=0-99", Send(0, 99, partial=True)),
        ("bytes=0-", Send(0, 99, partial=True)),
        ("bytes=99-", Send(99, 99, partial=True)),
        ("bytes=100-", OutOfRange()),
        ("bytes=100-200", OutOfRange()),
        ("bytes=50-1000", Send(50, 99, partial=True)),
        ("bytes=-1", Send(99, 99, partial=True)),
        ("bytes=-1000", Send(0, 99, partial=True)),
        ("bytes=-0", OutOfRange()),
        ("bytes=-", WHOLE),
        ("bytes=9-3", WHOLE),
        ("bytes=0-1,3-4", WHOLE),
        ("bytes=a-b", WHOLE),
        ("items=0-1", WHOLE),
        ("BYTES=0-1", Send(0, 1, partial=True)),
        ("bytes=" + "9" * 30 + "-", WHOLE),
    ],
)
def test_what_a_range_gets(range_: str | None, expected: Outcome) -> None:
    assert ask(range_) == expected


@pytest.mark.parametrize(
    ("if_none_match", "expected"),
    [
        ('"abc"', NotModified()),
        ('W/"abc"', NotModified()),
        ('"x", "abc"', NotModified()),
        ("*", NotModified()),
        ('"abcd"', WHOLE),
        ("abc", WHOLE),
        ("", WHOLE),
    ],
)
def test_what_a_client_with_a_copy_gets(if_none_match: str, expected: Outcome) -> None:
    assert ask(if_none_match=if_none_match) == expected


@pytest.mark.parametrize("if_range", ['"old"', 'W/"abc"', "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_range_of_what_may_be_another_version_gets_the_whole(if_range: str) -> None:
    assert ask("bytes=0-1", if_range) == WHOLE


def test_a_range_of_this_version_gets_its_part() -> None:
    assert ask("bytes=0-1", '"abc"') == Send(0, 1, partial=True)


@given(st.text(max_size=30) | st.from_regex(r"bytes=\d{0,4}-\d{0,4}", fullmatch=True), st.integers(1, 2000))
def test_whatever_is_asked_for_is_inside_the_file(range_: str, size: int) -> None:
    match ask(range_, size=size):
        case Send(first, last, _) as sent:
            assert 0 <= first <= last < size
            assert sent.length == last - first + 1
        case other:
            assert other == OutOfRange()
