"""The containers of a worker's pod: who has the token and the credentials, and who touches hostile bytes.

`worker` talks to the API server and to object storage. Its sidecar is `decoder`, which opens images, or in the pool of
films the transcoder, which runs ffmpeg: either has no token, no environment and no credentials.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from media_core.ladder import LONGEST_SECONDS
from media_core.names import VIDEO_POOL
from media_core.pool import MediaWorkerPool

SOCKET_FOLDER = "/run/media"
FILM_FOLDER = "/run/film"
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder, not a secret
SOCKET = f"{SOCKET_FOLDER}/decoder.sock"

DECODER_CHILD_BYTES = 1 << 30
TRANSCODER_BYTES = 1792 << 20
FILM_BYTES = 20 << 30
"""Disk for the one film that is being made: its original and everything made of it."""
OVERHEAD_MEBIBYTES = 256
"""Memory of a sidecar beside what its children may take."""


@dataclass(frozen=True, slots=True)
class WorkerImage:
    """What the operator's settings say of every worker: images, account, and where object storage is."""

    image: str
    service_account: str
    s3_secret: str
    environment: dict[str, str] = field(default_factory=dict)
    video_image: str = "media-worker-ffmpeg:latest"
    max_pixels: int = 50_000_000
    max_frames: int = 1_000
    max_video_seconds: int = LONGEST_SECONDS
    decoder_child_bytes: int = DECODER_CHILD_BYTES
    transcoder_bytes: int = TRANSCODER_BYTES
    pull_policy: str = "IfNotPresent"


_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_RUN = {"name": "run", "mountPath": SOCKET_FOLDER}
_FILM = {"name": "film", "mountPath": FILM_FOLDER}
_WORKER_RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "250m", "memory": "256Mi"},
    "limits": {"memory": "1Gi"},
}


def decoder(pool: MediaWorkerPool, image: WorkerImage, memory_factor: int) -> dict[str, Any]:
    """The sidecar that decodes images: as many children as are decoded at once, or one with more memory."""
    children = _at_once(pool, memory_factor)
    child_bytes = image.decoder_child_bytes * memory_factor
    usual = {
        "requests": {"cpu": "500m", "memory": "256Mi"},
        "limits": {"memory": _with_overhead(children * child_bytes)},
    }
    arguments = {"--socket": SOCKET, "--children": str(children), "--child-memory-bytes": str(child_bytes)}
    return _sidecar(image.image, image.pull_policy, "media-decoder", arguments) | {
        "resources": grown(_given(pool, "decoder"), memory_factor) or usual
    }


def transcoder(pool: MediaWorkerPool, image: WorkerImage, memory_factor: int) -> dict[str, Any]:
    """The sidecar that makes films by ffmpeg, one at a time, in the folder that it shares with the worker."""
    film_bytes = image.transcoder_bytes * memory_factor
    usual = {
        "requests": {"cpu": "1", "memory": "512Mi"},
        "limits": {"memory": _with_overhead(film_bytes)},
    }
    arguments = {"--socket": SOCKET, "--folder": FILM_FOLDER, "--memory-bytes": str(film_bytes)}
    container = _sidecar(image.video_image, image.pull_policy, "media-transcoder", arguments)
    return container | {
        "resources": grown(_given(pool, "decoder"), memory_factor) or usual,
        "volumeMounts": [*container["volumeMounts"], _FILM],
    }


def _sidecar(image: str, pull_policy: str, command: str, arguments: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "decoder",
        "image": image,
        "imagePullPolicy": pull_policy,
        "restartPolicy": "Always",
        "command": [command],
        "args": [word for argument in arguments.items() for word in argument],
        "securityContext": _SECURITY,
        "volumeMounts": [
            _RUN,
            {"name": "decoder-tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
        ],
    }


def worker(pool: MediaWorkerPool, image: WorkerImage, memory_factor: int) -> dict[str, Any]:
    """The container that fetches, uploads and reports."""
    of_films = pool.name == VIDEO_POOL
    own_names = {
        "MEDIA_JOB_NAME": "metadata.labels['batch.kubernetes.io/job-name']",
        "MEDIA_POD_NAME": "metadata.name",
    }
    return {
        "name": "worker",
        "image": image.video_image if of_films else image.image,
        "imagePullPolicy": image.pull_policy,
        "command": ["media-worker"],
        "env": [
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in own_names.items()),
            *({"name": name, "value": value} for name, value in sorted(_settings(pool, image, memory_factor).items())),
        ],
        "envFrom": [{"secretRef": {"name": image.s3_secret}}],
        "resources": grown(_given(pool, "worker") or _WORKER_RESOURCES, memory_factor),
        "securityContext": _SECURITY,
        "volumeMounts": [
            _RUN,
            {"name": "worker-tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
            {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
            *([_FILM] if of_films else []),
        ],
    }


def _settings(pool: MediaWorkerPool, image: WorkerImage, memory_factor: int) -> dict[str, str]:
    spec = pool.spec
    of_films = pool.name == VIDEO_POOL
    own = {
        "MEDIA_NAMESPACE": pool.metadata.namespace,
        "MEDIA_CONCURRENCY": str(_at_once(pool, memory_factor)),
        # The next film would take the disk of the one that is being made.
        "MEDIA_PREFETCH": "0" if of_films else str(spec.prefetch),
        "MEDIA_IDLE_SECONDS": str(spec.idle_seconds),
        "MEDIA_MAX_LIFETIME_SECONDS": str(spec.max_lifetime_seconds),
        "MEDIA_ASSET_TIMEOUT_SECONDS": str(spec.asset_timeout_seconds),
        "MEDIA_DECODER_SOCKET": SOCKET,
    }
    if of_films:
        kind = {"MEDIA_FILM_FOLDER": FILM_FOLDER, "MEDIA_MAX_VIDEO_SECONDS": str(image.max_video_seconds)}
    else:
        kind = {
            "MEDIA_RENDITIONS": json.dumps([rendition.to_json() for rendition in spec.renditions]),
            "MEDIA_MAX_PIXELS": str(image.max_pixels),
            "MEDIA_MAX_FRAMES": str(image.max_frames),
        }
    return {**own, **kind, **image.environment}


def _at_once(pool: MediaWorkerPool, memory_factor: int) -> int:
    """What a worker works on at once. One film has all of the transcoder, whatever the pool says."""
    return 1 if memory_factor > 1 or pool.name == VIDEO_POOL else pool.spec.concurrency


def _given(pool: MediaWorkerPool, container: str) -> dict[str, Any] | None:
    return (pool.spec.template.resources or {}).get(container)


def _with_overhead(count: int) -> str:
    return f"{OVERHEAD_MEBIBYTES + (count >> 20)}Mi"


_SUFFIXES = ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki", "E", "P", "T", "G", "M", "k")


def grown(resources: dict[str, Any] | None, factor: int) -> dict[str, Any] | None:
    """The same resources with `factor` times the memory. A quantity with a fraction is left as it is."""
    if resources is None or factor == 1:
        return resources
    return {
        kind: {name: _times(str(amount), factor) if name == "memory" else amount for name, amount in amounts.items()}
        for kind, amounts in resources.items()
    }


def _times(quantity: str, factor: int) -> str:
    suffix = next((s for s in _SUFFIXES if quantity.endswith(s)), "")
    number = quantity.removesuffix(suffix)
    return f"{int(number) * factor}{suffix}" if number.isdigit() else quantity
