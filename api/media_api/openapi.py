"""/openapi.json and /docs, made of the endpoints that are served and the models they check with."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from media_api.models import ProblemAnswer
from media_api.problems import CONTENT_TYPE, ProblemType
from media_api.routing import Endpoint

_REF = "#/components/schemas/{model}"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1d2733}
h2{margin-top:2.5rem;border-bottom:1px solid #d5dbe2}
details{border:1px solid #d5dbe2;border-radius:6px;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer} code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f4f6f8;padding:.7rem;overflow:auto;border-radius:4px}
.method{display:inline-block;min-width:4.5rem;font-weight:700} .lock{color:#7a5200}
table{border-collapse:collapse;width:100%} td,th{text-align:left;padding:.2rem .6rem .2rem 0;vertical-align:top}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The API in OpenAPI 3.1."""
    served = tuple(endpoints)
    models = {ProblemAnswer: None} | {
        model: None
        for endpoint in served
        for model in (endpoint.request, *(body for _, body in endpoint.answers.values()))
        if model is not None
    }
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in served:
        operations = paths.setdefault(_plain(endpoint.path), {})
        for method in endpoint.methods:
            operations[method.lower()] = _operation(endpoint, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Media service",
            "version": version("media-operator"),
            "description": "Uploads, processing and playback of images, videos, PDFs and SCORM packages.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def page(described: Mapping[str, Any]) -> str:
    """The document for people: one page of HTML that needs nothing else."""
    by_tag: dict[str, list[str]] = {}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_rendered(path, method, operation))
    schemas = "".join(
        f'<details id="{_e(name)}"><summary><code>{_e(name)}</code></summary>{_json(schema)}</details>'
        for name, schema in described["components"]["schemas"].items()
    )
    sections = "".join(f"<h2>{_e(tag)}</h2>{''.join(parts)}" for tag, parts in by_tag.items())
    info = described["info"]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_e(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{_e(info['title'])} <small>{_e(info['version'])}</small></h1><p>{_e(info['description'])} "
        f'The same for programs: <a href="/openapi.json">openapi.json</a>.</p>{sections}<h2>schemas</h2>{schemas}'
        "</body></html>"
    )


def endpoints(served: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """The two that describe those that are served, and themselves."""

    async def openapi(_request: web.Request) -> web.Response:
        return web.json_response(described)

    async def docs(_request: web.Request) -> web.Response:
        return web.Response(text=shown, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    own = (
        Endpoint("/openapi.json", openapi, "This description", "operations", answers={200: ("OpenAPI 3.1.", None)}),
        Endpoint("/docs", docs, "This description, for people", "operations", answers={200: ("A page.", None)}),
    )
    described = document((*served, *own))
    shown = page(described)
    return own


def _operation(endpoint: Endpoint, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_{re.sub(r'[^a-z0-9]+', '_', _plain(endpoint.path)).strip('_')}",
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "responses": {
            **{str(status): _answer(text, body) for status, (text, body) in endpoint.answers.items()},
            **_problems(endpoint),
        },
    }
    if endpoint.parameters:
        operation["parameters"] = [
            {
                "name": parameter.name,
                "in": parameter.place,
                "required": parameter.place == "path",
                "description": parameter.description,
                "schema": dict(parameter.schema),
            }
            for parameter in endpoint.parameters
        ]
    if endpoint.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.request)}
    if endpoint.needs_token:
        operation["security"] = [{"token": []}]
    return operation


def _problems(endpoint: Endpoint) -> dict[str, Any]:
    tokens = (ProblemType.UNAUTHORIZED, ProblemType.IDENTITY_UNAVAILABLE) if endpoint.needs_token else ()
    by_status: dict[str, list[str]] = {}
    for kind in (*tokens, *endpoint.problems):
        by_status.setdefault(str(kind.status), []).append(f"{kind.title} (`{kind.slug}`)")
    return {
        status: {"description": "; ".join(texts), "content": _content(ProblemAnswer, CONTENT_TYPE)}
        for status, texts in sorted(by_status.items())
    }


def _answer(text: str, body: type[BaseModel] | None) -> dict[str, Any]:
    return {"description": text} | ({"content": _content(body)} if body else {})


def _content(model: type[BaseModel], content_type: str = "application/json") -> dict[str, Any]:
    return {content_type: {"schema": {"$ref": _REF.format(model=model.__name__)}}}


def _plain(path: str) -> str:
    return path.replace("{key:.*}", "{key}")


def _rendered(path: str, method: str, operation: Mapping[str, Any]) -> str:
    lock = ' <span class="lock">needs a token</span>' if "security" in operation else ""
    parameters = "".join(
        f"<tr><td><code>{_e(given['name'])}</code></td><td>{_e(given['in'])}</td><td>{_e(given['description'])}</td></tr>"
        for given in operation.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td>{_e(status)}</td><td>{_e(answer['description'])}</td><td>{_link(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    request = f"<p>Request: {_link(operation['requestBody'])}</p>" if "requestBody" in operation else ""
    return (
        f'<details><summary><span class="method">{_e(method.upper())}</span> <code>{_e(path)}</code> '
        f"{_e(operation['summary'])}{lock}</summary>"
        f"{f'<table>{parameters}</table>' if parameters else ''}{request}<table>{answers}</table></details>"
    )


def _link(described: Mapping[str, Any]) -> str:
    names = [content["schema"]["$ref"].rpartition("/")[2] for content in described.get("content", {}).values()]
    return " ".join(f'<a href="#{_e(name)}"><code>{_e(name)}</code></a>' for name in names)


def _json(value: Any) -> str:
    return f"<pre>{_e(json.dumps(value, indent=2))}</pre>"


def _e(text: str) -> str:
    return html.escape(text)
