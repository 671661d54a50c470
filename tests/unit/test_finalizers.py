"""Taking one finalizer off, and no other."""

from __future__ import annotations

from media_core.finalizers import without_finalizer

OURS, FOREIGN = "media.docfliq.com/purge", "example.org/keep"


def test_only_the_one_that_is_named_goes_and_only_from_the_version_that_was_seen() -> None:
    body = {"metadata": {"finalizers": [FOREIGN, OURS], "resourceVersion": "7"}}
    assert without_finalizer(body, OURS) == {"metadata": {"finalizers": [FOREIGN], "resourceVersion": "7"}}


def test_an_object_without_it_is_left_alone() -> None:
    assert without_finalizer({"metadata": {"finalizers": [FOREIGN], "resourceVersion": "7"}}, OURS) is None
    assert without_finalizer({"metadata": {"resourceVersion": "7"}}, OURS) is None
