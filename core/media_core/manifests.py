"""The worker Job as it is created: a pure builder, so that a test can read what would run.

A pod has two containers of one image. `worker` talks to the API server and to object storage; `decoder`, a native
sidecar, touches hostile bytes and therefore has no token, no environment and no credentials. They share a unix
socket in an emptyDir and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from media_core.names import (
    API_VERSION,
    CONFIGURATION_EXIT_CODE,
    ISOLATED_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    POOL_KIND,
    POOL_LABEL,
    TEMPLATE_LABEL,
)
from media_core.pool import MediaWorkerPool

JOB_TTL_SECONDS = 3600
GRACE_SECONDS = 60
MAX_JOB_NAME = 52
"""A pod's name is the Job's plus 6 characters and must be a label's value, with some room to spare."""
DECODER_CHILD_BYTES = 1 << 30
SOCKET_FOLDER = "/run/media"
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder, not a secret


@dataclass(frozen=True, slots=True)
class WorkerImage:
    """What the operator's settings say of every worker: image, account, and where object storage is."""

    image: str
    service_account: str
    s3_secret: str
    environment: dict[str, str] = field(default_factory=dict)
    max_pixels: int = 50_000_000
    max_frames: int = 1_000
    decoder_child_bytes: int = DECODER_CHILD_BYTES
    pull_policy: str = "IfNotPresent"


def job_name(pool: str, pool_uid: str, number: int) -> str:
    """`<pool>-<4 of uid>-<n>`: the same number gives the same name, so that a repeated create is harmless."""
    tail = f"-{pool_uid.replace('-', '')[:4]}-{number}"
    return pool[: MAX_JOB_NAME - len(tail)] + tail


def template_hash(pool: MediaWorkerPool, image: WorkerImage) -> str:
    """8 hex digits over everything that makes two workers of a pool behave differently."""
    spec = pool.spec.to_json()
    for changing in ("replicas", "paused", "attempts"):
        spec.pop(changing, None)
    text = json.dumps([spec, _pod(pool, image, memory_factor=1)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def worker_job(
    pool: MediaWorkerPool, image: WorkerImage, number: int, isolated_for: str | None = None
) -> dict[str, Any]:
    """The Job manifest. One pod, never restarted; its end, however it ends, releases what is bound to it."""
    labels = {
        MANAGED_BY_LABEL: MANAGED_BY,
        POOL_LABEL: pool.name,
        TEMPLATE_LABEL: template_hash(pool, image),
        **({ISOLATED_LABEL: isolated_for} if isolated_for else {}),
    }
    spec = pool.spec
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(pool.name, pool.metadata.uid, number),
            "namespace": pool.metadata.namespace,
            "labels": labels,
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": POOL_KIND,
                    "name": pool.name,
                    "uid": pool.metadata.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "ttlSecondsAfterFinished": JOB_TTL_SECONDS,
            "activeDeadlineSeconds": spec.max_lifetime_seconds + 2 * spec.asset_timeout_seconds,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": "worker",
                            "operator": "In",
                            "values": [CONFIGURATION_EXIT_CODE],
                        },
                    },
                ]
            },
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(pool, image, memory_factor=2 if isolated_for else 1),
            },
        },
    }


def _pod(pool: MediaWorkerPool, image: WorkerImage, memory_factor: int) -> dict[str, Any]:
    template = pool.spec.template
    resources = template.resources or {}
    placed = {
        "nodeSelector": template.node_selector,
        "tolerations": list(template.tolerations) if template.tolerations else None,
        "affinity": template.affinity,
        "priorityClassName": template.priority_class_name,
    }
    return {
        "restartPolicy": "Never",
        "serviceAccountName": image.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_decoder(pool, image, resources.get("decoder"), memory_factor)],
        "containers": [_worker(pool, image, resources.get("worker"), memory_factor)],
        "volumes": [
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "worker-tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "decoder-tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            {
                "name": "token",
                "projected": {
                    "defaultMode": 0o440,
                    "sources": [
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {
                            "downwardAPI": {
                                "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                            }
                        },
                    ],
                },
            },
        ],
        **{key: value for key, value in placed.items() if value},
    }


_CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def _decoder(
    pool: MediaWorkerPool, image: WorkerImage, resources: dict[str, Any] | None, memory_factor: int
) -> dict[str, Any]:
    children = 1 if memory_factor > 1 else pool.spec.concurrency
    child_bytes = image.decoder_child_bytes * memory_factor
    return {
        "name": "decoder",
        "image": image.image,
        "imagePullPolicy": image.pull_policy,
        "restartPolicy": "Always",
        "command": ["media-decoder"],
        "args": [
            "--socket",
            f"{SOCKET_FOLDER}/decoder.sock",
            "--children",
            str(children),
            "--child-memory-bytes",
            str(child_bytes),
        ],
        "resources": grown(resources, memory_factor)
        or {
            "requests": {"cpu": "500m", "memory": "256Mi"},
            "limits": {"memory": f"{256 + children * (child_bytes >> 20)}Mi"},
        },
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "run", "mountPath": SOCKET_FOLDER},
            {"name": "decoder-tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
        ],
    }


_WORKER_RESOURCES: dict[str, Any] = {
    "requests": {"cpu": "250m", "memory": "256Mi"},
    "limits": {"memory": "1Gi"},
}


def _worker(
    pool: MediaWorkerPool, image: WorkerImage, resources: dict[str, Any] | None, memory_factor: int
) -> dict[str, Any]:
    spec = pool.spec
    values = {
        "MEDIA_NAMESPACE": pool.metadata.namespace,
        "MEDIA_CONCURRENCY": str(1 if memory_factor > 1 else spec.concurrency),
        "MEDIA_PREFETCH": str(spec.prefetch),
        "MEDIA_IDLE_SECONDS": str(spec.idle_seconds),
        "MEDIA_MAX_LIFETIME_SECONDS": str(spec.max_lifetime_seconds),
        "MEDIA_ASSET_TIMEOUT_SECONDS": str(spec.asset_timeout_seconds),
        "MEDIA_RENDITIONS": json.dumps([rendition.to_json() for rendition in spec.renditions]),
        "MEDIA_DECODER_SOCKET": f"{SOCKET_FOLDER}/decoder.sock",
        "MEDIA_MAX_PIXELS": str(image.max_pixels),
        "MEDIA_MAX_FRAMES": str(image.max_frames),
        **image.environment,
    }
    own_names = {
        "MEDIA_JOB_NAME": "metadata.labels['batch.kubernetes.io/job-name']",
        "MEDIA_POD_NAME": "metadata.name",
    }
    return {
        "name": "worker",
        "image": image.image,
        "imagePullPolicy": image.pull_policy,
        "command": ["media-worker"],
        "env": [
            *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in own_names.items()),
            *({"name": name, "value": value} for name, value in sorted(values.items())),
        ],
        "envFrom": [{"secretRef": {"name": image.s3_secret}}],
        "resources": grown(resources or _WORKER_RESOURCES, memory_factor),
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "run", "mountPath": SOCKET_FOLDER},
            {"name": "worker-tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
            {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        ],
    }


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
