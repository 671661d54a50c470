"""Reads what a request's path speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from media_devcluster.embedded.errors import no_such_resource


@dataclass(frozen=True)
class Target:
    """A collection, an object or a subresource."""

    group: str
    version: str
    plural: str
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None


def read_path(path: str) -> Target:
    """`/apis/<group>/<version>/namespaces/<namespace>/<plural>/<name>/<subresource>` and its shorter forms."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    match parts:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            raise no_such_resource()
    match rest:
        case ["namespaces", namespace, plural, *inner] if plural not in ("status", "finalize"):
            return _target(group, version, plural, namespace, inner)
        case [plural, *inner]:
            return _target(group, version, plural, None, inner)
        case _:
            raise no_such_resource()


def _target(group: str, version: str, plural: str, namespace: str | None, inner: list[str]) -> Target:
    match inner:
        case []:
            return Target(group, version, plural, namespace)
        case [name]:
            return Target(group, version, plural, namespace, name)
        case [name, subresource]:
            return Target(group, version, plural, namespace, name, subresource)
        case _:
            raise no_such_resource()
