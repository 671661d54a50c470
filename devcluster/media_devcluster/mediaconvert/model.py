"""The service's own model, as botocore carries it: what a request may say, and how an answer is written.

Between the wire and the rest of the double, which speaks in the names that boto3 uses. botocore's validator sees to
types, required members and lower limits; enums, upper limits and patterns it leaves to the service, so they are held
to here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

from media_devcluster.mediaconvert.errors import bad_request

PREFIX = "/2017-08-29"


@functools.cache
def service() -> ServiceModel:
    """The model of MediaConvert."""
    return botocore.session.get_session().get_service_model("mediaconvert")


@functools.cache
def operations() -> tuple[tuple[str, re.Pattern[str], OperationModel], ...]:
    """Method, path and model of every operation."""
    models = [service().operation_model(name) for name in service().operation_names]
    return tuple((m.http["method"], _pattern(m.http["requestUri"]), m) for m in models)


def route(method: str, path: str) -> tuple[OperationModel, dict[str, str]] | None:
    """Which operation a request is for, and what its path says; None where there is none."""
    for known, pattern, operation in operations():
        if known == method and (match := pattern.fullmatch(path)):
            return operation, match.groupdict()
    return None


def read(operation: OperationModel, wire: Mapping[str, Any]) -> dict[str, Any]:
    """The request in boto3's names. Raises ServiceError 400 that names all that is wrong with it."""
    shape = operation.input_shape
    assert shape is not None
    problems: list[str] = []
    named = _named(shape, dict(wire), "", problems)
    report = ParamValidator().validate(named, shape)
    if report.has_errors():
        problems.append(report.generate_report())
    problems += _beyond_limits(shape, named, "")
    if problems:
        raise bad_request(*problems)
    return dict(named)


def write(operation: OperationModel, answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as it goes over the wire. What the model does not know is a mistake of the double."""
    shape = operation.output_shape
    assert shape is not None
    return dict(_wired(shape, answer))


def integers(operation: OperationModel, query: Mapping[str, str]) -> dict[str, Any]:
    """Query parameters, with numbers where the model has numbers; what is no number stays text and is refused."""
    shape = operation.input_shape
    members = {_wire_name(name, member): member for name, member in _members(shape).items()}
    return {
        name: int(value) if name in members and members[name].type_name == "integer" and value.isdigit() else value
        for name, value in query.items()
    }


def _pattern(uri: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", uri)
    return re.compile("".join(f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)))


def _members(shape: Shape | None) -> Mapping[str, Shape]:
    return shape.members if shape is not None else {}  # type: ignore[attr-defined]


def _wire_name(name: str, shape: Shape) -> str:
    return str(shape.serialization.get("name", name))


def _named(shape: Shape, value: Any, where: str, problems: list[str]) -> Any:
    """The same value with boto3's names. What has the wrong type is left for the validator."""
    if shape.type_name == "structure" and isinstance(value, dict):
        known = {_wire_name(name, member): (name, member) for name, member in _members(shape).items()}
        problems += [f"{where}/{name}: is not known" for name in value if name not in known]
        return {
            known[name][0]: _named(known[name][1], inner, f"{where}/{name}", problems)
            for name, inner in value.items()
            if name in known and inner is not None
        }
    if shape.type_name == "list" and isinstance(value, list):
        member = shape.member  # type: ignore[attr-defined]
        return [_named(member, inner, f"{where}/{at}", problems) for at, inner in enumerate(value)]
    if shape.type_name == "map" and isinstance(value, dict):
        member = shape.value  # type: ignore[attr-defined]
        return {name: _named(member, inner, f"{where}/{name}", problems) for name, inner in value.items()}
    return value


def _beyond_limits(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """What is outside an enum, a range or a pattern."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            member = _members(shape)[name]
            yield from _beyond_limits(member, inner, f"{where}/{_wire_name(name, member)}")
    elif shape.type_name == "list" and isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _beyond_limits(shape.member, inner, f"{where}/{at}")  # type: ignore[attr-defined]
    elif shape.type_name == "map" and isinstance(value, dict):
        for name, inner in value.items():
            yield from _beyond_limits(shape.value, inner, f"{where}/{name}")  # type: ignore[attr-defined]
    elif isinstance(value, str):
        yield from _text_problems(shape, value, where)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _beyond(shape, value, where, "be")


def _text_problems(shape: Shape, value: str, where: str) -> Iterator[str]:
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        yield f"{where}: {value!r} should be one of {', '.join(allowed)}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.search(pattern, value):
        yield f"{where}: {value!r} should match {pattern}"
    yield from _beyond(shape, len(value), where, "have a length of")


def _beyond(shape: Shape, value: float, where: str, verb: str) -> Iterator[str]:
    highest = shape.metadata.get("max")
    if highest is not None and value > highest:
        yield f"{where}: should {verb} at most {highest}, not {value}"


def _wired(shape: Shape, value: Any) -> Any:
    if shape.type_name == "structure":
        members = _members(shape)
        return {
            _wire_name(name, members[name]): _wired(members[name], inner)
            for name, inner in value.items()
            if inner is not None
        }
    if shape.type_name == "list":
        return [_wired(shape.member, inner) for inner in value]  # type: ignore[attr-defined]
    if shape.type_name == "map":
        return {name: _wired(shape.value, inner) for name, inner in value.items()}  # type: ignore[attr-defined]
    return value
