"""The chart as its tests see it: rendered by helm, read as objects, in every mode it has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from media_devcluster.helm import merged

Object = dict[str, Any]
CHART = Path(__file__).parents[2] / "charts" / "media"
RELEASE, NAMESPACE = "media", "media"
HELM_SECONDS = 60

OWN: Object = {
    "postgresql": {"existingSecret": "ledger"},
    "s3": {"existingSecret": "storage", "bucket": "docfliq-user-content"},
    "api": {"jwt": {"existingSecret": "tokens"}},
}
"""The least that has to be said: PostgreSQL, S3 and token keys of one's own. All else is a default."""

EMBEDDED: Object = {"postgresql": {"embedded": {"enabled": True}}, "s3": {"embedded": {"enabled": True}}}


PLACED: Object = {
    "nodeSelector": {"pool": "services"},
    "tolerations": [{"key": "services", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpread": False,
}
EVERYTHING: Object = merged(
    OWN,
    {
        "image": {"registry": "registry.example.org/team", "tag": "1.2.3"},
        "imagePullSecrets": [{"name": "registry"}],
        "fullnameOverride": "pictures",
        "assets": {"namespace": "media-assets"},
        "api": {
            "jwt": {"existingSecret": "", "jwksUrl": "https://login.example.org:8443/jwks.json"},
            "corsOrigins": ["https://app.example.org"],
            "publicBaseUrl": "https://cdn.example.org",
            "service": {"type": "NodePort", "nodePort": 30805},
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "annotations": {"example.org/size": "5g"},
                "hosts": [{"host": "media.example.org", "paths": [{"path": "/", "pathType": "Prefix"}]}],
                "tls": [{"secretName": "media-tls", "hosts": ["media.example.org"]}],
            },
            **PLACED,
        },
        "operator": PLACED,
        "metrics": PLACED,
        "worker": {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/worker"}}},
        "pool": {
            "template": {
                "resources": {"worker": {"limits": {"memory": "2Gi"}}, "decoder": {"limits": {"memory": "4Gi"}}},
                "nodeSelector": {"pool": "workers"},
                "priorityClassName": "batch",
            }
        },
        "s3": {
            "endpoint": "http://minio.storage.svc:9000",
            "publicEndpoint": "https://s3.example.org",
            "workerExistingSecret": "storage-of-workers",
        },
        "networkPolicy": {
            "dnsCidrs": ["169.254.20.10/32"],
            "apiFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
            "monitoringFrom": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        },
        "monitoring": {
            "serviceMonitor": {"enabled": True},
            "prometheusRule": {"enabled": True},
            "grafanaDashboard": {"enabled": True},
        },
    },
)

MODES: Mapping[str, Object] = {
    "own PostgreSQL and S3": OWN,
    "embedded PostgreSQL and S3": EMBEDDED,
    "KEDA asks the metrics server": merged(OWN, {"autoscaling": {"metrics": "keda"}}),
    "KEDA asks Prometheus": merged(
        OWN,
        {"autoscaling": {"metrics": "keda", "keda": {"trigger": "prometheus", "prometheusAddress": "http://p:9090"}}},
    ),
    "metrics by an adapter": merged(OWN, {"autoscaling": {"metrics": "prometheus"}}),
    "scaled from outside": merged(OWN, {"autoscaling": {"metrics": "none"}}),
    "not scaled": merged(OWN, {"autoscaling": {"enabled": False}, "pool": {"replicas": 4}}),
    "everything that can be said": EVERYTHING,
}

FOREIGN = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}
"""Kinds that other programs bring; a server without these programs knows nothing of them."""


class Refused(Exception):
    """Helm did not do it; the text is what it said."""


@dataclass(frozen=True)
class Helm:
    """helm, without a cluster unless one is given."""

    program: str
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """What it printed. Raises Refused."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig or self.home / "none"),
        }
        command = [self.program, *arguments, *(("--values", "-") if values is not None else ())]
        done = subprocess.run(
            command,
            input=json.dumps(values) if values is not None else None,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HELM_SECONDS,
        )
        if done.returncode != 0:
            raise Refused(done.stderr + done.stdout)
        return done.stdout

    def text(self, values: Mapping[str, Any], *options: str) -> str:
        """The manifests as YAML."""
        where = ("--namespace", NAMESPACE, "--kube-version", "1.37.0")
        return self.run("template", RELEASE, str(CHART), *where, *options, values=values)

    def render(self, values: Mapping[str, Any], *options: str) -> list[Object]:
        """The objects, those of hooks included."""
        return [body for body in yaml.safe_load_all(self.text(values, *options)) if body]


def names(objects: list[Object]) -> set[str]:
    """`Kind/name` of each."""
    return {f"{body['kind']}/{body['metadata']['name']}" for body in objects}


def one(objects: list[Object], kind: str, name: str) -> Object:
    """The object of that kind and name; a failure where there is none or several."""
    found = [body for body in objects if body["kind"] == kind and body["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} of {kind}/{name} among {sorted(names(objects))}"
    return found[0]


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Every pod that would come of the objects: what it comes of, and its spec."""
    for body in objects:
        match body["kind"]:
            case "Pod":
                yield f"Pod/{body['metadata']['name']}", body["spec"]
            case "Deployment" | "StatefulSet" | "DaemonSet" | "Job":
                yield f"{body['kind']}/{body['metadata']['name']}", body["spec"]["template"]["spec"]
            case "CronJob":
                template = body["spec"]["jobTemplate"]["spec"]["template"]
                yield f"CronJob/{body['metadata']['name']}", template["spec"]


def containers(pod: Object) -> list[Object]:
    """All of them, those of the start included."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def environment(container: Object) -> dict[str, str]:
    """The variables that are set to a value."""
    return {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}
