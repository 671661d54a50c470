"""Playback: what a page needs to show an asset. Public, and answered from PostgreSQL alone."""

from __future__ import annotations

from aiohttp import web

from media_api import delivery, requests
from media_api.models import PlaybackAnswer
from media_api.ports import PORTS
from media_api.problems import ProblemType, not_found
from media_api.routing import ASSET_ID, Endpoint


async def get_playback(request: web.Request) -> web.Response:
    """The row, as a page wants it."""
    ports = request.app[PORTS]
    row = await ports.ledger.visible(requests.asset_id(request))
    if row is None:
        raise not_found("There is no such asset.")
    return web.json_response(delivery.playback(row, ports.base_url).to_json(), headers={"Cache-Control": "no-cache"})


ENDPOINTS = (
    Endpoint(
        "/api/v1/media/playback/{asset_id}",
        get_playback,
        "Get what is needed to show an asset",
        "playback",
        parameters=(ASSET_ID,),
        answers={200: ("Its status, URLs and sizes.", PlaybackAnswer)},
        problems=(ProblemType.NOT_FOUND, ProblemType.DATABASE_UNAVAILABLE),
    ),
)
