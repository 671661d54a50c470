"""What a container of a pod is on this machine: its command, environment and folders. Pure but for lookups.

Volumes are folders; arguments and values that begin with a mountPath are rewritten to the folder that stands for
the volume, since a process here has no file system of its own.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_devcluster.embedded.errors import Object

REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)|\$\$")
QUOTED_KEY = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")
UNPULLABLE = "unpullable.invalid/"
Lookup = Callable[[str, str], Object | None]
"""(collection, name) to the object in the pod's namespace."""


class ConfigError(Exception):
    """A container that cannot be made, because something it refers to is missing."""


@dataclass(frozen=True)
class Invocation:
    """What to execute."""

    command: tuple[str, ...]
    env: Mapping[str, str]


def is_sidecar(container: Object) -> bool:
    """An init container that runs beside the main ones."""
    return bool(container.get("restartPolicy") == "Always")


def is_unpullable(container: Object) -> bool:
    """Whether its image can never be had."""
    return str(container.get("image", "")).startswith(UNPULLABLE)


def mounts(container: Object, folders: Mapping[str, Path]) -> list[tuple[str, Path]]:
    """Mount paths and the folders behind them, the longest first so that the nearest wins."""
    found = [
        (mount["mountPath"].rstrip("/"), folders[mount["name"]] / mount.get("subPath", ""))
        for mount in container.get("volumeMounts", ())
        if mount["name"] in folders
    ]
    return sorted(found, key=lambda mount: len(mount[0]), reverse=True)


def rewritten(text: str, mounted: list[tuple[str, Path]]) -> str:
    """A path inside a volume as a path of this machine; any other text as it is."""
    for path, folder in mounted:
        if text == path or text.startswith(f"{path}/"):
            return f"{folder}{text[len(path) :]}"
    return text


def expanded(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where NAME is known; `$$` is a dollar."""
    return REFERENCE.sub(
        lambda match: "$" if match[1] is None else env.get(match[1], match[0]),
        text,
    )


def invocation(
    pod: Object, container: Object, base: Mapping[str, str], folders: Mapping[str, Path], lookup: Lookup
) -> Invocation:
    """Command and environment of a container; ConfigError when a Secret or ConfigMap is missing."""
    mounted = mounts(container, folders)
    given: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        given.update(_all_of(source, lookup))
    for entry in container.get("env", ()):
        if (value := _value(pod, entry, given, lookup)) is not None:
            given[entry["name"]] = value
    env = {**base, **{name: rewritten(value, mounted) for name, value in given.items()}}
    words = [*container.get("command", ()), *container.get("args", ())]
    if not words:
        raise ConfigError("a container without a command cannot run here: images are not looked into")
    command = tuple(rewritten(expanded(word, given), mounted) for word in words)
    return Invocation(command, env)


def has_token(pod: Object, container: Object) -> bool:
    """Whether it mounts a projected service account token, and so may talk to the API."""
    projected = {
        volume["name"]
        for volume in pod["spec"].get("volumes", ())
        if any("serviceAccountToken" in source for source in volume.get("projected", {}).get("sources", ()))
    }
    return any(mount["name"] in projected for mount in container.get("volumeMounts", ()))


def contents(volume: Object, lookup: Lookup) -> dict[str, bytes]:
    """The files a Secret or ConfigMap volume begins with."""
    if (secret := volume.get("secret")) is not None:
        return _files("secrets", secret["secretName"], secret, lookup)
    if (config := volume.get("configMap")) is not None:
        return _files("configmaps", config["name"], config, lookup)
    return {}


def _files(collection: str, name: str, source: Object, lookup: Lookup) -> dict[str, bytes]:
    found = _texts(collection, name, bool(source.get("optional")), lookup)
    items = source.get("items") or [{"key": key, "path": key} for key in found]
    return {item["path"]: found[item["key"]].encode() for item in items if item["key"] in found}


def _texts(collection: str, name: str, optional: bool, lookup: Lookup) -> dict[str, str]:
    found = lookup(collection, name)
    if found is None:
        if optional:
            return {}
        raise ConfigError(f'{collection.removesuffix("s")} "{name}" not found')
    entries: dict[str, Any] = found.get("data") or {}
    if collection == "secrets":
        return {key: base64.b64decode(value).decode() for key, value in entries.items()}
    return dict(entries)


def _all_of(source: Object, lookup: Lookup) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for kind, collection in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
        if (reference := source.get(kind)) is not None:
            found = _texts(collection, reference["name"], bool(reference.get("optional")), lookup)
            return {f"{prefix}{key}": value for key, value in found.items()}
    return {}


def _value(pod: Object, entry: Object, env: Mapping[str, str], lookup: Lookup) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return expanded(str(entry.get("value", "")), env)
    if (reference := source.get("fieldRef")) is not None:
        return field_of(pod, reference["fieldPath"])
    for kind, collection in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")):
        if (reference := source.get(kind)) is not None:
            optional = bool(reference.get("optional"))
            found = _texts(collection, reference["name"], optional, lookup)
            if reference["key"] in found:
                return found[reference["key"]]
            if optional:
                return None
            raise ConfigError(f"couldn't find key {reference['key']} in {collection} {reference['name']}")
    raise ConfigError(f"environment variable {entry['name']}: a source that is not known here")


def field_of(pod: Object, path: str) -> str:
    """A field of the pod as the downward API gives it."""
    metadata = pod["metadata"]
    if match := QUOTED_KEY.match(path):
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.podIP": "127.0.0.1",
        "status.hostIP": "127.0.0.1",
    }
    if path not in known:
        raise ConfigError(f"a field that is not known here: {path}")
    return str(known[path])
