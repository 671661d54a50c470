"""JSON merge patch and JSON patch, as functions from an object to a new one.

The given object is never changed: what a patch does not touch is shared between old and new, so a patch costs
what it changes. The odd rules of the real server's patch library are kept, since clients come to rely on them:
a `test` of null passes on a missing key, a `replace` of a missing key adds it, a path with a missing parent is
refused, negative indexes count from the end.
"""

from __future__ import annotations

from typing import Any

from media_devcluster.embedded.errors import bad_request, patch_refused

MISSING: Any = object()
END_OF_LIST = "-"
OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects are merged, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def apply_operations(target: Any, operations: Any) -> Any:
    """RFC 6902: all operations or none."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    for operation in operations:
        target = _apply(target, operation)
    return target


def _apply(target: Any, operation: Any) -> Any:
    if not isinstance(operation, dict) or operation.get("op") not in OPERATIONS:
        raise patch_refused()
    path = _tokens(operation.get("path"))
    match operation["op"]:
        case "test":
            found = _read(target, path)
            if not _equal(None if found is MISSING else found, operation.get("value")):
                raise patch_refused()
            return target
        case "add":
            return _write(target, path, operation.get("value"), insert=True)
        case "replace":
            _read(target, path)
            return _write(target, path, operation.get("value"), insert=False)
        case "remove":
            return _remove(target, path)
        case "move":
            source = _tokens(operation.get("from"))
            value = _present(target, source)
            return _write(_remove(target, source), path, value, insert=True)
        case _:
            return _write(target, path, _present(target, _tokens(operation.get("from"))), insert=True)


def _tokens(pointer: Any) -> list[str]:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise patch_refused()
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _position(items: list[Any], token: str, *, end: int) -> int:
    """Index that a token means in a list, where `end` is the first that is out of range."""
    try:
        index = int(token)
    except ValueError:
        raise patch_refused() from None
    if index < 0:
        index += end
    if not 0 <= index < end:
        raise patch_refused()
    return index


def _child(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return value.get(token, MISSING)
    if isinstance(value, list):
        return value[_position(value, token, end=len(value))]
    raise patch_refused()


def _read(target: Any, path: list[str]) -> Any:
    """The value at a path; MISSING when only its last key is absent, refused when a parent is."""
    for depth, token in enumerate(path):
        target = _child(target, token)
        if target is MISSING and depth < len(path) - 1:
            raise patch_refused()
    return target


def _present(target: Any, path: list[str]) -> Any:
    value = _read(target, path)
    if value is MISSING:
        raise patch_refused()
    return value


def _write(target: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    token, rest = path[0], path[1:]
    if rest:
        child = _child(target, token)
        if not isinstance(child, dict | list):
            raise patch_refused()
        value = _write(child, rest, value, insert=insert)
    if isinstance(target, dict):
        return {**target, token: value}
    if not isinstance(target, list):
        raise patch_refused()
    items = list(target)
    if rest or not insert:
        items[_position(items, token, end=len(items))] = value
    elif token == END_OF_LIST:
        items.append(value)
    else:
        items.insert(_position(items, token, end=len(items) + 1), value)
    return items


def _remove(target: Any, path: list[str]) -> Any:
    if not path:
        raise patch_refused()
    token, rest = path[0], path[1:]
    child = _child(target, token)
    if child is MISSING:
        raise patch_refused()
    if rest:
        if not isinstance(child, dict | list):
            raise patch_refused()
        child = _remove(child, rest)
    if isinstance(target, dict):
        if rest:
            return {**target, token: child}
        return {key: value for key, value in target.items() if key != token}
    items = list(target)
    index = _position(items, token, end=len(items))
    if rest:
        items[index] = child
    else:
        del items[index]
    return items


def _equal(one: Any, other: Any) -> bool:
    """Equality of JSON values, in which true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
