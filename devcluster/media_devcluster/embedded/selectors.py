"""Label and field selectors: text in, predicate over objects out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from media_devcluster.embedded.errors import Object, bad_request
from media_devcluster.embedded.jsonpaths import look_up

Predicate = Callable[[Object], bool]

IN_SET = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)$")
COMPARED = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^\s!=,()]*)$")
PRESENCE = re.compile(r"^(?P<absent>!)?\s*(?P<key>[^\s!=,()]+)$")


def everything(_: Object) -> bool:
    """The predicate of no selector at all."""
    return True


def _requirements(selector: str) -> list[str]:
    """Splits at commas outside of parentheses."""
    return [part.strip() for part in re.split(r",(?![^()]*\))", selector) if part.strip()]


def _label_test(text: str) -> Callable[[Mapping[str, str]], bool]:
    if match := IN_SET.match(text):
        key, values = match["key"], frozenset(value.strip() for value in match["values"].split(","))
        if match["operator"] == "in":
            return lambda labels: key in labels and labels[key] in values
        return lambda labels: labels.get(key) not in values
    if match := COMPARED.match(text):
        key, value = match["key"], match["value"]
        if match["operator"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := PRESENCE.match(text):
        key = match["key"]
        if match["absent"]:
            return lambda labels: key not in labels
        return lambda labels: key in labels
    raise bad_request(f"unable to parse requirement: found '{text}'")


def labels_match(selector: str) -> Predicate:
    """Equality- and set-based requirements, all of which must hold."""
    tests = [_label_test(text) for text in _requirements(selector)]
    if not tests:
        return everything

    def match(body: Object) -> bool:
        labels = body["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return match


def _shown(value: Any) -> str:
    """A field's value as a selector spells it; an absent field is the empty string."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def fields_match(selector: str, selectable: frozenset[str]) -> Predicate:
    """Equalities of the fields that the kind lets be selected; any other field is refused."""
    tests: list[tuple[tuple[str, ...], str, bool]] = []
    for text in (part.strip() for part in selector.split(",") if part.strip()):
        match = re.match(r"^(?P<key>[^!=]+?)(?P<operator>==|!=|=)(?P<value>.*)$", text)
        if match is None:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{text}'")
        if match["key"] not in selectable:
            raise bad_request(f"field label not supported: {match['key']}")
        tests.append((tuple(match["key"].split(".")), match["value"], match["operator"] != "!="))
    if not tests:
        return everything

    def matches(body: Object) -> bool:
        return all((_shown(look_up(body, fields)) == value) is equal for fields, value, equal in tests)

    return matches


def both(first: Predicate, second: Predicate) -> Predicate:
    """Objects that match both."""
    if first is everything:
        return second
    if second is everything:
        return first
    return lambda body: first(body) and second(body)
