"""OpenAPI v3 structural schemas of CRDs: pruning, defaulting, validation.

A schema is compiled once into a tree of nodes. Pruning and defaulting return the value they were given when
there is nothing to do and share what they leave alone, so that stored objects are never changed in place.
Validation collects causes with the paths and words of the real server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from media_devcluster.embedded.errors import Cause

Check = Callable[["Node", str, Any], Cause | None]

TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
ROOT_FIELDS = frozenset({"apiVersion", "kind", "metadata"})
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")
LIMITS = {"int32": 2**31, "int64": 2**63}


class Node:
    """One place of a schema."""

    def __init__(self, schema: dict[str, Any], *, root: bool = False) -> None:
        self.root = root
        self.type: str | None = schema.get("type")
        self.nullable: bool = schema.get("nullable", False)
        self.int_or_string: bool = schema.get("x-kubernetes-int-or-string", False)
        self.preserve: bool = schema.get("x-kubernetes-preserve-unknown-fields", False)
        self.embedded: bool = schema.get("x-kubernetes-embedded-resource", False)
        self.required: tuple[str, ...] = tuple(schema.get("required", ()))
        self.has_default = "default" in schema
        self.default: Any = schema.get("default")
        self.properties = {name: Node(inner) for name, inner in schema.get("properties", {}).items()}
        additional = schema.get("additionalProperties")
        self.additional: Node | None = Node(additional) if isinstance(additional, dict) else None
        self.open: bool = self.preserve or additional is True or self.additional is not None
        items = schema.get("items")
        self.items: Node | None = Node(items) if isinstance(items, dict) else None
        self.list_type: str = schema.get("x-kubernetes-list-type", "atomic")
        self.list_keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        self.enum: list[Any] | None = schema.get("enum")
        self.pattern = re.compile(schema["pattern"]) if "pattern" in schema else None
        self.format: str | None = schema.get("format")
        self.bounds: dict[str, Any] = {name: schema[name] for name in BOUNDS if name in schema}
        self.all_of = [Node(inner) for inner in schema.get("allOf", ())]
        self.any_of = [Node(inner) for inner in schema.get("anyOf", ())]
        self.one_of = [Node(inner) for inner in schema.get("oneOf", ())]
        self.none_of = Node(schema["not"]) if "not" in schema else None
        self.defaults_inside: bool = (
            any(inner.has_default or inner.defaults_inside for inner in self.properties.values())
            or (self.additional is not None and self.additional.defaults_inside)
            or (self.items is not None and self.items.defaults_inside)
        )

    def prune(self, value: Any, path: str, dropped: list[str]) -> Any:
        """The value without fields the schema does not know; their paths are added to `dropped`.

        A null where none is allowed counts as absent, and goes without a word.
        """
        if isinstance(value, dict):
            changed: dict[str, Any] = {}
            gone: list[str] = []
            for name, inner in value.items():
                if (self.root or self.embedded) and name in ROOT_FIELDS:
                    continue
                node = self.properties.get(name, self.additional)
                if node is not None and inner is None and not (node.nullable or node.has_default):
                    gone.append(name)
                elif node is not None:
                    pruned = node.prune(inner, f"{path}.{name}" if path else name, dropped)
                    if pruned is not inner:
                        changed[name] = pruned
                elif not self.open:
                    gone.append(name)
                    dropped.append(f"{path}.{name}" if path else name)
            if not changed and not gone:
                return value
            return {name: changed.get(name, inner) for name, inner in value.items() if name not in gone}
        if isinstance(value, list) and self.items is not None:
            pruned_items = [self.items.prune(inner, f"{path}[{index}]", dropped) for index, inner in enumerate(value)]
            return value if all(map(_same, pruned_items, value)) else pruned_items
        return value

    def fill(self, value: Any) -> Any:
        """The value with defaults where something is absent, or null where null is not allowed."""
        if not self.defaults_inside:
            return value
        if isinstance(value, dict):
            filled = {}
            for name, node in self.properties.items():
                absent = name not in value or (value[name] is None and not node.nullable)
                if absent and node.has_default:
                    filled[name] = node.fill(node.default)
                elif name in value and (inner := node.fill(value[name])) is not value[name]:
                    filled[name] = inner
            if self.additional is not None:
                for name in value.keys() - self.properties.keys():
                    if (inner := self.additional.fill(value[name])) is not value[name]:
                        filled[name] = inner
            return {**value, **filled} if filled else value
        if isinstance(value, list) and self.items is not None:
            items = [self.items.fill(inner) for inner in value]
            return value if all(map(_same, items, value)) else items
        return value

    def validate(self, value: Any, path: str, causes: list[Cause]) -> None:
        """Adds what is wrong with the value to `causes`."""
        if value is None and self.nullable:
            return
        if self.int_or_string:
            if not (TYPES["integer"](value) or isinstance(value, str)):
                causes.append(_mistyped("integer or string", path, value))
                return
        elif self.type is not None and not TYPES[self.type](value):
            causes.append(_mistyped(self.type, path, value))
            return
        for check in CHECKS:
            if (cause := check(self, path, value)) is not None:
                causes.append(cause)
        if isinstance(value, dict):
            self._validate_fields(value, path, causes, present=value)
        elif isinstance(value, list):
            if self.items is not None:
                for index, inner in enumerate(value):
                    self.items.validate(inner, f"{path}[{index}]", causes)
            self._validate_uniqueness(value, path, causes)
        self._validate_junctors(value, path, causes)

    def _validate_fields(
        self, value: dict[str, Any], path: str, causes: list[Cause], *, present: dict[str, Any]
    ) -> None:
        for name in self.required:
            if name not in present:
                causes.append(Cause("FieldValueRequired", _join(path, name), "Required value"))
        for name, inner in value.items():
            node = self.properties.get(name, self.additional)
            if node is not None and not (self.root and name in ROOT_FIELDS):
                node.validate(inner, _join(path, name), causes)

    def _validate_uniqueness(self, value: list[Any], path: str, causes: list[Cause]) -> None:
        if self.list_type not in ("map", "set"):
            return
        seen: list[Any] = []
        for index, item in enumerate(value):
            key = item
            if self.list_type == "map":
                if not isinstance(item, dict):
                    continue
                key = {name: item[name] for name in self.list_keys if name in item}
            if key in seen:
                causes.append(Cause("FieldValueDuplicate", f"{path}[{index}]", f"Duplicate value: {_show(key)}"))
            seen.append(key)

    def _validate_junctors(self, value: Any, path: str, causes: list[Cause]) -> None:
        for node in self.all_of:
            node.validate(value, path, causes)
        if self.any_of and not any(node.accepts(value) for node in self.any_of):
            causes.append(_broken(path, value, "must validate at least one schema (anyOf)"))
        if self.one_of and sum(node.accepts(value) for node in self.one_of) != 1:
            causes.append(_broken(path, value, "must validate one and only one schema (oneOf)"))
        if self.none_of is not None and self.none_of.accepts(value):
            causes.append(_broken(path, value, "must not validate the schema (not)"))

    def conform(
        self, body: dict[str, Any], known: dict[str, Any], dropped: list[str], causes: list[Cause]
    ) -> dict[str, Any]:
        """A whole object pruned, filled in and validated, but for the fields that are the very ones of `known`.

        A write to the status shares the spec with the object before it: looking at it again would cost most.
        """
        kept = {name: value for name, value in body.items() if known.get(name) is value}
        rest = {name: value for name, value in body.items() if name not in kept}
        conformed = {**self.fill(self.prune(rest, "", dropped)), **kept}
        fresh = {name: value for name, value in conformed.items() if name not in kept}
        self._validate_fields(fresh, "", causes, present=conformed)
        self._validate_junctors(conformed, "", causes)
        return conformed

    def accepts(self, value: Any) -> bool:
        """Whether the value is valid here."""
        causes: list[Cause] = []
        self.validate(value, "", causes)
        return not causes


def _same(one: Any, other: Any) -> bool:
    return one is other


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _show(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{" + ",".join(f'"{key}":{_show(inner)}' for key, inner in value.items()) + "}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    return next(name for name, is_type in TYPES.items() if is_type(value))


def _mistyped(wanted: str, path: str, value: Any) -> Cause:
    given = _kind_of(value)
    return Cause(
        "FieldValueTypeInvalid",
        path,
        f'Invalid value: "{given}": {path} in body must be of type {wanted}: "{given}"',
    )


def _broken(path: str, value: Any, rule: str) -> Cause:
    return Cause("FieldValueInvalid", path, f"Invalid value: {_show(value)}: {path} in body {rule}")


def _enum(node: Node, path: str, value: Any) -> Cause | None:
    if node.enum is None or value in node.enum:
        return None
    supported = ", ".join(_show(allowed) for allowed in node.enum)
    return Cause("FieldValueNotSupported", path, f"Unsupported value: {_show(value)}: supported values: {supported}")


def _pattern(node: Node, path: str, value: Any) -> Cause | None:
    if node.pattern is None or not isinstance(value, str) or node.pattern.search(value):
        return None
    return _broken(path, value, f"should match '{node.pattern.pattern}'")


def _format(node: Node, path: str, value: Any) -> Cause | None:
    if node.format == "date-time" and isinstance(value, str) and not _is_time(value):
        return _broken(path, value, f'must be of type date-time: "{value}"')
    limit = LIMITS.get(node.format or "")
    if limit is not None and isinstance(value, int) and not -limit <= value < limit:
        return _broken(path, value, f"must be of type {node.format}")
    return None


def _is_time(text: str) -> bool:
    if not RFC3339.match(text):
        return False
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return True


def _bounds(node: Node, path: str, value: Any) -> Cause | None:
    for name, bound in node.bounds.items():
        applies, holds, say = BOUNDS[name]
        if applies(value) and not holds(value, bound):
            return say(path, value, bound)
    return None


def _too_long(path: str, value: Any, bound: int) -> Cause:
    return Cause("FieldValueTooLong", path, f"Too long: may not be more than {bound} bytes")


def _too_many(path: str, value: Any, bound: int) -> Cause:
    return Cause("FieldValueTooMany", path, f"Too many: {len(value)}: must have at most {bound} items")


def _says(rule: str) -> Callable[[str, Any, Any], Cause]:
    return lambda path, value, bound: _broken(path, value, rule.format(bound))


BOUNDS: dict[
    str,
    tuple[Callable[[Any], bool], Callable[[Any, Any], bool], Callable[[str, Any, Any], Cause]],
] = {
    "minimum": (TYPES["number"], lambda v, b: v >= b, _says("should be greater than or equal to {}")),
    "maximum": (TYPES["number"], lambda v, b: v <= b, _says("should be less than or equal to {}")),
    "multipleOf": (TYPES["number"], lambda v, b: v % b == 0, _says("should be a multiple of {}")),
    "minLength": (TYPES["string"], lambda v, b: len(v) >= b, _says("should be at least {} chars long")),
    "maxLength": (TYPES["string"], lambda v, b: len(v) <= b, _too_long),
    "minItems": (TYPES["array"], lambda v, b: len(v) >= b, _says("should have at least {} items")),
    "maxItems": (TYPES["array"], lambda v, b: len(v) <= b, _too_many),
    "minProperties": (TYPES["object"], lambda v, b: len(v) >= b, _says("should have at least {} properties")),
    "maxProperties": (TYPES["object"], lambda v, b: len(v) <= b, _too_many),
}
CHECKS: tuple[Check, ...] = (_enum, _pattern, _format, _bounds)
