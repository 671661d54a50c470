"""The refusals of the API: an exception that carries a `Status`, and one constructor per kind of refusal.

Messages are worded as the real server words them, since people and clients read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """One reason why an object is invalid, and where in the object it lies."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class ApiError(Exception):
    """A request that is refused."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> Object:
        """The refusal as the `Status` object that is sent."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def qualified(plural: str, group: str) -> str:
    """A resource as messages name it: `mediaassets.media.docfliq.com`, but plain `pods`."""
    return f"{plural}.{group}" if group else plural


def _details(plural: str, group: str, name: str) -> Object:
    parts = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in parts.items() if value}


def bad_request(message: str) -> ApiError:
    """The request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def no_such_resource() -> ApiError:
    """The path names no resource that is served."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def not_found(plural: str, group: str, name: str) -> ApiError:
    """No object of that name."""
    return ApiError(404, "NotFound", f'{qualified(plural, group)} "{name}" not found', _details(plural, group, name))


def already_exists(plural: str, group: str, name: str) -> ApiError:
    """A create of a name that is taken."""
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(plural, group, name))


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    """A write that was decided on a state that is no more."""
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(plural, group, name))


def modified(plural: str, group: str, name: str) -> ApiError:
    """A write that carries an old resourceVersion."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(plural, group, name, why)


def forbidden(plural: str, group: str, name: str, why: str) -> ApiError:
    """A write that is understood and not allowed."""
    message = f'{qualified(plural, group)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, _details(plural, group, name))


def method_not_allowed() -> ApiError:
    """A verb that the resource does not have."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def unsupported_media_type(given: str, accepted: Sequence[str]) -> ApiError:
    """A patch or body in a format that is not spoken here."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)} (given: {given})"
    )
    return ApiError(415, "UnsupportedMediaType", message)


def expired(message: str) -> ApiError:
    """A resourceVersion or a continue token whose history is gone."""
    return ApiError(410, "Expired", message)


def too_old(asked: int, oldest: int) -> ApiError:
    """A watch that wants to resume before the oldest version still known."""
    return expired(f"too old resource version: {asked} ({oldest})")


def patch_refused() -> ApiError:
    """A JSON patch that does not apply; the real server says no more than this either."""
    message = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", message)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """An object that breaks the rules of its kind."""
    said = [str(cause) for cause in causes]
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    details = _details(kind, group, name)
    details["causes"] = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    shown = f"{kind}.{group}" if group else kind
    return ApiError(422, "Invalid", f'{shown} "{name}" is invalid: {listed}', details)


def too_many_requests(seconds: int) -> ApiError:
    """The server wants to be left alone for a while."""
    message = "the server has received too many requests and has asked us to try again later"
    return ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": seconds})


def internal(message: str) -> ApiError:
    """The server failed."""
    return ApiError(500, "InternalError", f"Internal error occurred: {message}")
