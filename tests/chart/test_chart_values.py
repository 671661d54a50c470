"""The values: each is described, bounded and used, and what cannot work is refused with a sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.chart import CHART, EMBEDDED, EVERYTHING, MODES, OWN, Helm, Object, Refused, merged

ROOT = CHART.parents[1]
DEFAULTS: Object = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that holds no others; resources and labels are handed on whole."""
    for key, value in values.items():
        if isinstance(value, dict) and value and key not in ("resources", "labels"):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def at(path: tuple[str, ...], value: Any) -> Object:
    """Values that say only this."""
    for key in reversed(path):
        value = {key: value}
    return value


KEDA = {"autoscaling": {"metrics": "keda", "keda": {"prometheusAddress": "http://p:1"}}}
PROMETHEUS = merged(KEDA, {"autoscaling": {"keda": {"trigger": "prometheus"}}})
INGRESS = {"api": {"ingress": EVERYTHING["api"]["ingress"]}}
PEERS = [{"podSelector": {}}]

ROLE = "arn:aws:iam::123456789012:role/media-mediaconvert"
MEDIACONVERT: Object = {"video": {"backend": "mediaconvert", "mediaconvert": {"roleArn": ROLE}}}
OTHER: Mapping[str, tuple[Any, Object]] = {
    "imagePullSecrets": ([{"name": "registry"}], {}),
    "logLevel": ("debug", {}),
    "api.jwt.jwksUrl": ("https://login.example.org/jwks.json", {"api": {"jwt": {"existingSecret": ""}}}),
    "api.corsOrigins": (["https://app.example.org"], {}),
    "api.publicBaseUrl": ("https://cdn.example.org", {}),
    "api.limits.maxVideoBytes": (1, {}),
    "api.limits.uploadUrlSeconds": (899, {}),
    "api.service.type": ("LoadBalancer", {}),
    "api.service.nodePort": (30805, {"api": {"service": {"type": "NodePort"}}}),
    "api.ingress.enabled": (False, INGRESS),
    "api.ingress.className": ("other", INGRESS),
    "api.ingress.annotations": ({"example.org/a": "b"}, INGRESS),
    "api.ingress.hosts": ([{"host": "b.example.org", "paths": [{"path": "/", "pathType": "Exact"}]}], INGRESS),
    "api.ingress.tls": ([{"secretName": "other"}], INGRESS),
    "worker.serviceAccount.annotations": ({"example.org/role": "worker"}, {}),
    "pool.replicas": (7, {"autoscaling": {"enabled": False}}),
    "pool.renditions": ([{"name": "tiny", "size": 16}], {}),
    "pool.template": ({"priorityClassName": "batch"}, {}),
    "autoscaling.metrics": ("none", {}),
    "autoscaling.keda.trigger": ("prometheus", KEDA),
    "autoscaling.keda.prometheusAddress": ("http://q:2", PROMETHEUS),
    "autoscaling.keda.pollingIntervalSeconds": (31, KEDA),
    "video.backend": ("none", {}),
    "video.pool.replicas": (7, {"autoscaling": {"enabled": False}}),
    "video.pool.template": ({"priorityClassName": "batch"}, {}),
    "video.mediaconvert.roleArn": (ROLE, {}),
    "video.mediaconvert.queue": ("other", MEDIACONVERT),
    "video.mediaconvert.endpoint": ("https://mediaconvert.example.org", MEDIACONVERT),
    "video.mediaconvert.pollSeconds": (31, MEDIACONVERT),
    "s3.endpoint": ("http://minio:9000", {}),
    "s3.publicEndpoint": ("https://s3.example.org", {}),
    "s3.ports": ([9000], {}),
    "s3.embedded.service.type": ("LoadBalancer", {}),
    "s3.embedded.service.nodePort": (30900, {"s3": {"embedded": {"service": {"type": "NodePort"}}}}),
    "networkPolicy.apiServerPorts": ([16443], {}),
    "networkPolicy.dnsCidrs": (["169.254.20.10/32"], {}),
    "networkPolicy.apiFrom": (PEERS, {}),
    "networkPolicy.monitoringFrom": (PEERS, {}),
}
"""Another value, and what else has to be said for it to matter, where neither follows from the default."""


def enabled(path: tuple[str, ...]) -> Object:
    """Values that turn on what the value at that path is a part of."""
    if path[-1] == "enabled" or "embedded" in path or "monitoring" not in path:
        return {}
    return at((*path[:-1], "enabled"), True)


def another(path: tuple[str, ...], value: Any) -> tuple[Any, Object]:
    """A value that differs from the default, and what else has to be said."""
    if (name := ".".join(path)) in OTHER:
        return OTHER[name]
    by_name = {
        "resources": {"requests": {"cpu": "7m"}},
        "nodeSelector": {"pool": "services"},
        "tolerations": [{"key": "services", "operator": "Exists"}],
        "affinity": {"podAffinity": {}},
        "pullPolicy": "Always",
        "labels": {"release": "prometheus"},
        "size": "3Gi",
        "interval": "7s",
    }
    if path[-1] in by_name:
        return by_name[path[-1]], enabled(path)
    match value:
        case bool():
            return not value, enabled(path)
        case int():
            return value + 1, enabled(path)
        case str():
            return (f"{value}-x" if value else "other"), enabled(path)
        case _:
            pytest.fail(f"{name}: say in OTHER what else it could be")


def lasting(text: str) -> str:
    """The manifests without what is random in a trial: its Secrets, and digests of them."""
    kept = (part for part in text.split("\n---\n") if "\nkind: Secret\n" not in f"\n{part}")
    return "".join(re.sub(r"checksum/.*", "", part) for part in kept)


def test_every_value_changes_what_is_installed(helm: Helm) -> None:
    def said(values: Object) -> str:
        try:
            return lasting(helm.text(values))
        except Refused as error:
            return str(error)

    def unused(path: tuple[str, ...], default: Any) -> str | None:
        value, context = another(path, default)
        part_of_a_trial = "embedded" in path and path[-1] != "enabled"
        around = merged(EMBEDDED if part_of_a_trial else OWN, context)
        before, after = said(around), said(merged(around, at(path, value)))
        return ".".join(path) if before == after or "meet the specifications" in after else None

    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda leaf: unused(*leaf), leaves(DEFAULTS))
        assert [name for name in found if name] == []


def bounded(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Places of the schema that would let a misspelt key through."""
    if "properties" in schema and schema.get("additionalProperties") is not False:
        yield path
    for key in ("properties", "$defs"):
        for name, inner in schema.get(key, {}).items():
            yield from bounded(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from bounded(schema[key], f"{path}[]")
    for inner in schema.get("oneOf", []):
        yield from bounded(inner, path)


def test_a_misspelt_key_is_refused_at_every_level() -> None:
    assert list(bounded(SCHEMA, "values")) == []


def spoken(schema: Mapping[str, Any], values: Any, path: str) -> Iterator[str]:
    """Keys that the schema knows and values.yaml does not say."""
    for name, inner in schema.get("properties", {}).items():
        if not isinstance(values, dict) or name not in values:
            yield f"{path}.{name}"
        elif values[name]:
            yield from spoken(inner, values[name], f"{path}.{name}")


def test_values_yaml_says_all_that_the_schema_knows() -> None:
    free = {"global", "pool.template"}
    assert [name for name in spoken(SCHEMA, DEFAULTS, "") if name.lstrip(".") not in free] == []


def test_the_defaults_and_every_mode_fit_the_schema(helm: Helm) -> None:
    for values in MODES.values():
        helm.run("lint", "--strict", "--quiet", str(CHART), values=values)


def test_the_readme_tells_the_values_as_they_are() -> None:
    script = Path(ROOT) / "scripts" / "chart_readme.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


WRONG: Mapping[str, tuple[Object, str]] = {
    "no PostgreSQL at all": (merged(OWN, {"postgresql": {"existingSecret": ""}}), "set postgresql.existingSecret"),
    "two PostgreSQLs": (merged(OWN, {"postgresql": {"embedded": {"enabled": True}}}), "only one of them"),
    "no S3 at all": (merged(OWN, {"s3": {"existingSecret": ""}}), "set s3.existingSecret"),
    "two S3s": (merged(OWN, {"s3": {"embedded": {"enabled": True}}}), "only one of them"),
    "no bucket": (merged(OWN, {"s3": {"bucket": ""}}), "name the bucket"),
    "no key for tokens": (merged(OWN, {"api": {"jwt": {"existingSecret": ""}}}), "Nobody could be told apart"),
    "two keys for tokens": (merged(OWN, {"api": {"jwt": {"jwksUrl": "https://login"}}}), "checked by one of them"),
    "fewest above most": (merged(OWN, {"autoscaling": {"minReplicas": 5, "maxReplicas": 2}}), "is more than"),
    "MediaConvert without a role": (merged(OWN, {"video": {"backend": "mediaconvert"}}), "name the role"),
    "MediaConvert and an S3 of the cluster": (merged(EMBEDDED, MEDIACONVERT), "MediaConvert reads from AWS's own S3"),
    "fewest above most, for videos": (
        merged(OWN, {"video": {"autoscaling": {"minReplicas": 5, "maxReplicas": 2}}}),
        "video.autoscaling.minReplicas",
    ),
    "KEDA without Prometheus": (
        merged(OWN, {"autoscaling": {"metrics": "keda", "keda": {"trigger": "prometheus"}}}),
        "where KEDA reaches Prometheus",
    ),
    "a misspelt value": (merged(OWN, {"api": {"replica": 3}}), "replica"),
    "a value of another type": (merged(OWN, {"api": {"replicas": "three"}}), "/api/replicas"),
    "an Ingress without a host": (merged(OWN, {"api": {"ingress": {"enabled": True}}}), "/api/ingress"),
    "a mode that there is not": (merged(OWN, {"autoscaling": {"metrics": "datadog"}}), "/autoscaling/metrics"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_work_is_refused_with_a_reason(helm: Helm, case: str) -> None:
    values, reason = WRONG[case]
    with pytest.raises(Refused, match=reason):
        helm.render(values)


def test_an_older_kubernetes_is_refused(helm: Helm) -> None:
    with pytest.raises(Refused, match=r"1\.32"):
        helm.run("template", "media", str(CHART), "--kube-version", "1.31.0", values=OWN)
