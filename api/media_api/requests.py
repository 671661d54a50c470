"""Reading requests: the owner behind the token, the checked JSON, the id in the path."""

from __future__ import annotations

import asyncio
from typing import TypeVar
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from media_api.ports import PORTS
from media_api.problems import Problem, ProblemType, invalid, not_found

BODY_SECONDS = 5.0
M = TypeVar("M", bound=BaseModel)


async def owner(request: web.Request) -> str:
    """Who asks. Raises Problem (401)."""
    return await request.app[PORTS].tokens.owner(request.headers.get("Authorization"))


async def body(request: web.Request, model: type[M]) -> M:
    """The JSON of the request as that model. Raises Problem (400, 408, 413, 422)."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            text = await request.read()
    except TimeoutError:
        detail = f"The body was not complete after {BODY_SECONDS:.0f} seconds."
        raise Problem(ProblemType.REQUEST_TIMEOUT, detail, headers={"Connection": "close"}) from None
    except web.HTTPRequestEntityTooLarge:
        limit = request.app[PORTS].settings.max_request_bytes
        detail = f"The body of this request may have {limit} bytes; files go to the upload URL."
        raise Problem(ProblemType.REQUEST_TOO_LARGE, detail, limit=limit, actual=request.content_length) from None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        if found[0]["type"] == "json_invalid":
            raise Problem(ProblemType.MALFORMED_JSON, f"{found[0]['msg']}.") from None
        raise invalid([_said(entry) for entry in found]) from None


def asset_id(request: web.Request) -> UUID:
    """The id in the path. Raises Problem (404): what is no id names no asset."""
    text = request.match_info["asset_id"]
    try:
        found = UUID(text)
    except ValueError:
        raise not_found() from None
    if str(found) != text.lower():
        raise not_found()
    return found


def _said(entry: ErrorDetails) -> tuple[str, str]:
    message = entry["msg"].removeprefix("Value error, ").rstrip(".")
    return ".".join(str(part) for part in entry["loc"]), f"{message}."
