"""The JSONPath of printer columns, scale paths and selectable fields.

The subset a CRD may use: `.a.b`, `['a.b']`, `[0]`, `[*]` and the filter `[?(@.type=="Ready")]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

Step = Callable[[Any], Iterator[Any]]

TOKEN = re.compile(
    r"""\.?\[\?\(\s*@(?P<left>[^=!<>]+?)\s*(?P<operator>==|!=)\s*(?P<right>"[^"]*"|'[^']*'|[^)\s]+)\s*\)\]
      | \.?\[(?P<index>-?\d+|\*)\]
      | \.?\[['"](?P<quoted>[^'"]+)['"]\]
      | \.(?P<name>(?:\\.|[^.\[\]\\])+)
    """,
    re.VERBOSE,
)


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _index(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()


def _filter(left: str, equal: bool, right: Any) -> Step:
    wanted = compile_path(left)

    def step(value: Any) -> Iterator[Any]:
        for item in value if isinstance(value, list) else ():
            found = next(iter(wanted(item)), None)
            if (found == right) is equal:
                yield item

    return step


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError:
        return text


def compile_path(path: str) -> Callable[[Any], list[Any]]:
    """A function from an object to everything the path finds in it."""
    steps: list[Step] = []
    rest = path.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1]
    rest = rest.removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    position = 0
    while position < len(rest):
        token = TOKEN.match(rest, position)
        if token is None:
            raise ValueError(f"not a JSONPath that is understood here: {path!r}")
        position = token.end()
        if token["left"] is not None:
            steps.append(_filter(token["left"], token["operator"] == "==", _literal(token["right"])))
        elif token["index"] is not None:
            steps.append(_every if token["index"] == "*" else _index(int(token["index"])))
        elif token["quoted"] is not None:
            steps.append(_field(token["quoted"]))
        else:
            steps.append(_field(re.sub(r"\\(.)", r"\1", token["name"])))

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = [inner for outer in found for inner in step(outer)]
        return found

    return find


def plain_fields(path: str) -> tuple[str, ...]:
    """The field names of a path without indexes and filters, as scale and selectable fields have it."""
    names = tuple(path.strip().lstrip(".").split("."))
    if not all(names) or any("[" in name for name in names):
        raise ValueError(f"not a plain field path: {path!r}")
    return names


def look_up(value: Any, fields: tuple[str, ...]) -> Any:
    """The value under plain fields, or None."""
    for name in fields:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value
