"""What a cluster must hold before the operator starts: namespace, CRDs, the workers' Secret and account, the pools.

Done with plain create-or-replace calls, since the embedded cluster refuses server-side apply; running it twice is
harmless. A pool that is there already is left as it is: its replicas may be somebody else's to set.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from media_core.names import API_VERSION, ASSETS, GROUP, MANAGED_BY_LABEL, POOL_KIND, POOLS, VERSION
from media_devcluster.kube import Kube, Refused
from media_devcluster.objectstore import S3
from media_devcluster.processes import POLL_SECONDS, StartFailed

NAME = "cluster"
SECRET = "media-s3"  # noqa: S105 - a name
WORKER = "media-worker"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ESTABLISHED_SECONDS = 30.0


async def furnish(
    kubeconfig: Path, namespace: str, store: S3, crds: Iterable[Path], pools: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Put everything there; `pools` are specs by name. Returns what was made, for people to read.

    Raises StartFailed.
    """
    inside = f"/api/v1/namespaces/{namespace}"
    served = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{POOLS}"
    try:
        async with Kube.connect(kubeconfig) as kube:
            made = [await kube.keep("/api/v1/namespaces", _named("v1", "Namespace", namespace))]
            for path in crds:
                made.append(await _define(kube, yaml.safe_load(path.read_text(encoding="utf-8"))))
            made.append(await kube.replace(f"{inside}/secrets", _secret(namespace, store)))
            made.append(
                await kube.keep(f"{inside}/serviceaccounts", _named("v1", "ServiceAccount", WORKER, namespace))
            )
            for body in _rights(namespace):
                made += await _if_served(kube, f"{RBAC}/namespaces/{namespace}/{body['kind'].lower()}s", body)
            for name, spec in pools.items():
                made.append(await kube.keep(served, _pool(namespace, name, spec)))
    except Refused as refused:
        advice = (
            "Does `kubectl cluster-info` answer with the same kubeconfig and context?"
            if refused.status == 0
            else "The kubeconfig's account must be allowed to create CRDs, namespaces and Secrets."
        )
        raise StartFailed(NAME, f"does not take what it needs: {refused}", advice=advice) from refused
    return tuple(made)


async def _define(kube: Kube, body: Mapping[str, Any]) -> str:
    """A CRD, and wait until it is served."""
    made = await kube.replace(DEFINITIONS, body)
    name, deadline = body["metadata"]["name"], time.monotonic() + ESTABLISHED_SECONDS
    while True:
        seen = await kube.get(f"{DEFINITIONS}/{name}")
        conditions = (seen.get("status") or {}).get("conditions") or []
        if any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
            return made
        if time.monotonic() > deadline:
            raise StartFailed(NAME, f"does not serve {name} after {ESTABLISHED_SECONDS:.0f} s")
        await asyncio.sleep(POLL_SECONDS)


async def _if_served(kube: Kube, collection: str, body: Mapping[str, Any]) -> list[str]:
    """Create or replace it, but where the cluster has no such kind: the embedded one grants everything."""
    try:
        return [await kube.replace(collection, body)]
    except Refused as refused:
        if refused.status != 404:
            raise
        return []


def _rights(namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the workers' account may do: read assets, and report on their status."""
    role = {
        **_named("rbac.authorization.k8s.io/v1", "Role", WORKER, namespace),
        "rules": [
            {"apiGroups": [GROUP], "resources": [ASSETS], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [GROUP], "resources": [f"{ASSETS}/status"], "verbs": ["patch"]},
        ],
    }
    binding = {
        **_named("rbac.authorization.k8s.io/v1", "RoleBinding", WORKER, namespace),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": WORKER},
        "subjects": [{"kind": "ServiceAccount", "name": WORKER, "namespace": namespace}],
    }
    return role, binding


def _named(version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": {MANAGED_BY_LABEL: "media-dev"}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _secret(namespace: str, store: S3) -> dict[str, Any]:
    values = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    return {**_named("v1", "Secret", SECRET, namespace), "type": "Opaque", "data": data}


def _pool(namespace: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {**_named(API_VERSION, POOL_KIND, name, namespace), "spec": dict(spec)}
