"""The worker Job as it is created: a pure builder, so that a test can read what would run.

A pod has two containers of one image, which `containers` describes: `worker` and its sidecar `decoder`. They share a
unix socket in an emptyDir and nothing else; in the pool of films also the folder of the film that is being made.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from media_core.containers import FILM_BYTES, WorkerImage, decoder, transcoder, worker
from media_core.names import (
    API_VERSION,
    CONFIGURATION_EXIT_CODE,
    ISOLATED_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    POOL_KIND,
    POOL_LABEL,
    TEMPLATE_LABEL,
    VIDEO_POOL,
)
from media_core.pool import MediaWorkerPool

JOB_TTL_SECONDS = 3600
GRACE_SECONDS = 60
MAX_JOB_NAME = 52
"""A pod's name is the Job's plus 6 characters and must be a label's value, with some room to spare."""


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
    of_films = pool.name == VIDEO_POOL
    film = [{"name": "film", "emptyDir": {"sizeLimit": f"{FILM_BYTES >> 30}Gi"}}] if of_films else []
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
        "initContainers": [(transcoder if of_films else decoder)(pool, image, memory_factor)],
        "containers": [worker(pool, image, memory_factor)],
        "volumes": [
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "worker-tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "decoder-tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            *film,
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
