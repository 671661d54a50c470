"""The player page: uploads and gallery at `/`, one asset at `/player/<id>` for embedding, and the files of both.

A page is the same for everybody. It asks the API for what it shows, with the token its user gives it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from media_api import pages, requests
from media_api.pages import File
from media_api.ports import PORTS
from media_api.problems import ProblemType, not_found
from media_api.routing import ASSET_ID, Endpoint, Handler, Parameter
from media_api.streaming import NotModified, decide

_FILES = pages.load()
CACHE = "no-cache"
"""Asked for anew each time, and answered with 304 as long as it is the same: page and scripts always fit together."""


def page(name: str, *, embeddable: bool) -> Handler:
    """Serves one of the pages. One that is embeddable may be framed by the origins that may call the API."""

    async def serve_page(request: web.Request) -> web.Response:
        if "asset_id" in request.match_info:
            requests.asset_id(request)
        ports = request.app[PORTS]
        origins = (await ports.storage.public_origin(), _origin(ports.base_url))
        ancestors = ("'self'", *ports.settings.cors_origins) if embeddable else ()
        answer = _sent(request, _FILES[name])
        answer.headers["Content-Security-Policy"] = pages.policy(origins, ancestors)
        return answer

    return serve_page


async def static(request: web.Request) -> web.Response:
    """One of the files of the pages."""
    found = _FILES.get(request.match_info["name"])
    if found is None:
        raise not_found("There is no such file.")
    return _sent(request, found)


def _sent(request: web.Request, file: File) -> web.Response:
    headers = {"ETag": f'W/"{file.etag}"', "Cache-Control": CACHE, "Vary": "Accept-Encoding"}
    known = request.headers.get("If-None-Match")
    decision = decide(size=len(file.body), etag=file.etag, range_=None, if_range=None, if_none_match=known)
    if isinstance(decision, NotModified):
        return web.Response(status=304, headers=headers)
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    if zipped:
        headers["Content-Encoding"] = "gzip"
    body = file.zipped if zipped else file.body
    return web.Response(body=body, headers=headers, content_type=file.content_type, charset="utf-8")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


_ANSWERS = {200: ("The page.", None), 304: ("The client has it already.", None)}

ENDPOINTS = (
    Endpoint(
        "/",
        page("index.html", embeddable=False),
        "The player page: upload, gallery, playback",
        "page",
        ("GET", "HEAD"),
        answers=_ANSWERS,
        problems=(ProblemType.STORAGE_UNAVAILABLE,),
    ),
    Endpoint(
        "/player/{asset_id}",
        page("player.html", embeddable=True),
        "One asset as a page, for embedding",
        "page",
        ("GET", "HEAD"),
        parameters=(ASSET_ID,),
        answers=_ANSWERS,
        problems=(ProblemType.NOT_FOUND, ProblemType.STORAGE_UNAVAILABLE),
    ),
    Endpoint(
        "/player/static/{name}",
        static,
        "A file of these pages",
        "page",
        ("GET", "HEAD"),
        parameters=(Parameter("name", "Name of the file.", {"type": "string"}, "path"),),
        answers={200: ("The file.", None), 304: ("The client has it already.", None)},
        problems=(ProblemType.NOT_FOUND,),
    ),
)
