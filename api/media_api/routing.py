"""An endpoint as a value: what is served and what is documented come from the same one, so they cannot differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import BaseModel

from media_api.problems import ProblemType

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the path or the query; its schema as in OpenAPI."""

    name: str
    description: str
    schema: Mapping[str, object]
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path and what it does. `answers` are descriptions and bodies by status."""

    path: str
    handler: Handler
    summary: str
    tag: str
    methods: tuple[str, ...] = ("GET",)
    needs_token: bool = False
    request: type[BaseModel] | None = None
    parameters: tuple[Parameter, ...] = ()
    answers: Mapping[int, tuple[str, type[BaseModel] | None]] = field(default_factory=dict)
    problems: tuple[ProblemType, ...] = ()


ASSET_ID = Parameter("asset_id", "Id of the asset.", {"type": "string", "format": "uuid"}, "path")
KEY = Parameter("key", "Key of the file, as other answers name it.", {"type": "string"}, "path")
