"""What a cluster is made from: its name, its node image, and the configuration that kind reads. Values only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media_devcluster.local.stack import API_PORT, S3_PORT

NODE_IMAGE = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
"""The one that the pinned release of kind names; the digest says it is that one."""
NODE_IMAGE_SETTING = "MEDIA_DEV_NODE_IMAGE"
LOOPBACK = "127.0.0.1"
POSTGRESQL_PORT = 30432
PORTS = (API_PORT, S3_PORT, POSTGRESQL_PORT)
"""Of the node, and the same of this machine's loopback interface."""


def cluster_name(folder: Path) -> str:
    """The cluster of that folder and of no other, so that nobody else's is ever deleted."""
    return f"media-dev-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def node_image(environment: Mapping[str, str]) -> str:
    """The one the environment names (from a mirror, or of another Kubernetes), else the pinned one."""
    return environment.get(NODE_IMAGE_SETTING, "").strip() or NODE_IMAGE


def configuration(name: str, image: str) -> dict[str, Any]:
    """One node, which this machine and nobody else reaches: the API server and the ports listen on loopback only."""
    ports = [{"containerPort": port, "hostPort": port, "listenAddress": LOOPBACK, "protocol": "TCP"} for port in PORTS]
    return {
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kind": "Cluster",
        "name": name,
        "networking": {"apiServerAddress": LOOPBACK},
        "nodes": [{"role": "control-plane", "image": image, "extraPortMappings": ports}],
    }
