"""The description of the API is true: every endpoint, every problem, every reference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import web

from media_api.app import ENDPOINTS
from media_api.openapi import document, page
from media_api.problems import BASE, Problem, ProblemType, invalid, of_http_error

DOCS = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
DESCRIBED = document(ENDPOINTS)


def references(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for item in value.values():
                yield from references(item)
        case list():
            for item in value:
                yield from references(item)


def test_every_endpoint_is_described_with_what_it_answers() -> None:
    for endpoint in ENDPOINTS:
        operations = DESCRIBED["paths"][endpoint.path.replace("{key:.*}", "{key}")]
        for method in endpoint.methods:
            operation = operations[method.lower()]
            assert operation["responses"].keys() >= {str(status) for status in endpoint.answers}
            assert ("security" in operation) == endpoint.needs_token


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for path in DESCRIBED["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DESCRIBED))
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in DESCRIBED["components"]["schemas"]


def test_the_page_escapes_what_it_shows() -> None:
    hostile = {**DESCRIBED, "info": {**DESCRIBED["info"], "title": "<script>alert(1)</script>"}}
    assert "<script>" not in page(json.loads(json.dumps(hostile)))


def test_the_documentation_lists_every_problem_with_its_status() -> None:
    for kind in ProblemType:
        assert f"| `{kind.slug}` | {kind.status} |" in DOCS, kind.slug
    assert BASE in DOCS


def test_the_documentation_names_every_path() -> None:
    for endpoint in ENDPOINTS:
        path = endpoint.path.replace("{key:.*}", "{key}").removeprefix("/api/v1")
        assert path in DOCS, path


def test_a_problem_has_the_members_of_the_rfc_and_its_own() -> None:
    plain = Problem(ProblemType.TOO_LARGE, "It is too large.", limit=1, actual=2, left_out=None).to_json()
    assert plain == {
        "type": f"{BASE}too-large",
        "title": "The file is too large",
        "status": 422,
        "detail": "It is too large.",
        "limit": 1,
        "actual": 2,
    }


def test_wrong_fields_are_listed_and_said_in_one_sentence_each() -> None:
    plain = invalid([("limit", "It is too much."), ("", "It is no object.")]).to_json()
    assert plain["errors"] == [
        {"field": "limit", "message": "It is too much."},
        {"field": "", "message": "It is no object."},
    ]
    assert plain["detail"] == "limit: It is too much. body: It is no object."


def test_what_the_server_itself_refuses_keeps_its_status() -> None:
    problem = of_http_error(web.HTTPExpectationFailed(), "GET")
    assert (problem.status, problem.to_json()["status"]) == (417, 417)
