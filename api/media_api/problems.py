"""Problems: every error answer of the API, as `application/problem+json` (RFC 9457).

A problem's type is stable and for programs; its detail is a sentence for people. docs/api.md has the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from aiohttp import web

BASE = "https://media.docfliq.com/problems/"
CONTENT_TYPE = "application/problem+json"


class ProblemType(Enum):
    """Everything that can be wrong: slug of the type, HTTP status, title."""

    MALFORMED_JSON = ("malformed-json", 400, "The body is not JSON")
    UNAUTHORIZED = ("unauthorized", 401, "A valid token is needed")
    NOT_FOUND = ("not-found", 404, "Nothing is there")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The method is not allowed here")
    REQUEST_TIMEOUT = ("request-timeout", 408, "The request came too slowly")
    NOT_UPLOADED = ("not-uploaded", 409, "The file is not there yet")
    NOT_FAILED = ("not-failed", 409, "Only a failed asset can be retried")
    REQUEST_TOO_LARGE = ("request-too-large", 413, "The request is too large")
    RANGE_NOT_SATISFIABLE = ("range-not-satisfiable", 416, "The range is outside the file")
    INVALID_REQUEST = ("invalid-request", 422, "The request is not valid")
    UNSUPPORTED_CONTENT_TYPE = ("unsupported-content-type", 422, "This content type cannot be uploaded")
    TOO_LARGE = ("too-large", 422, "The file is too large")
    EMPTY_FILE = ("empty-file", 422, "The file is empty")
    SIZE_MISMATCH = ("size-mismatch", 422, "The file has another size than declared")
    WRONG_CONTENT = ("wrong-content", 422, "The file is not of the declared type")
    BACKLOG_FULL = ("backlog-full", 429, "Too many uploads are waiting")
    REFUSED = ("refused", 400, "The request is refused")
    INTERNAL_ERROR = ("internal-error", 500, "Something went wrong here")
    DATABASE_UNAVAILABLE = ("database-unavailable", 503, "The database does not answer")
    STORAGE_UNAVAILABLE = ("storage-unavailable", 503, "Object storage does not answer")
    CLUSTER_UNAVAILABLE = ("cluster-unavailable", 503, "The Kubernetes API does not answer")
    IDENTITY_UNAVAILABLE = ("identity-unavailable", 503, "The keys of the tokens cannot be fetched")
    TOO_MANY_STREAMS = ("too-many-streams", 503, "Too many files are being streamed")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug, self.status, self.title = slug, status, title

    @property
    def uri(self) -> str:
        """The type as answers name it."""
        return BASE + self.slug


class Problem(Exception):
    """One thing that is wrong. `extra` are further members of the JSON, `headers` of the answer."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.extra = kind, detail, extra
        self.headers = dict(headers or {})
        self.status = status or kind.status

    def to_json(self) -> dict[str, Any]:
        """The members of the answer."""
        plain = {"type": self.kind.uri, "title": self.kind.title, "status": self.status, "detail": self.detail}
        return {**plain, **{name: value for name, value in self.extra.items() if value is not None}}

    def response(self) -> web.Response:
        """The answer."""
        answer = web.Response(status=self.status, text=json.dumps(self.to_json()), content_type=CONTENT_TYPE)
        answer.headers.update(self.headers)
        answer.headers["Cache-Control"] = "no-store"
        return answer


def not_found(detail: str = "There is no such asset, or it is not yours.") -> Problem:
    """404, the same for what is not there and what is somebody else's."""
    return Problem(ProblemType.NOT_FOUND, detail)


def unavailable(kind: ProblemType, detail: str, retry_after: int = 2) -> Problem:
    """503 with the time after which it is worth another try."""
    return Problem(kind, detail, headers={"Retry-After": str(retry_after)})


def invalid(errors: Iterable[tuple[str, str]]) -> Problem:
    """422 with what is wrong by field."""
    listed = [{"field": field, "message": message} for field, message in errors]
    detail = " ".join(f"{error['field'] or 'body'}: {error['message']}" for error in listed)
    return Problem(ProblemType.INVALID_REQUEST, detail, errors=listed)


def of_http_error(error: web.HTTPException, method: str) -> Problem:
    """What aiohttp itself refuses, in the same form."""
    match error:
        case web.HTTPNotFound():
            return Problem(ProblemType.NOT_FOUND, "There is nothing at this path.")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"{method} is not allowed here, but {allowed} is."
            return Problem(ProblemType.METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed})
        case _:
            return Problem(ProblemType.REFUSED, f"{error.reason}.", status=error.status)
