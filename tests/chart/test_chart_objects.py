"""The objects of the chart in every mode: rights, pods, settings, names, and the things that must not be in them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest
import yaml

from media_core.containers import WorkerImage
from media_core.manifests import worker_job
from media_core.names import RIGHTS_FINALIZER
from media_core.pool import MediaWorkerPool
from media_core.settings import documented
from media_worker.settings import WorkerSettings
from support.chart import (
    CHART,
    EMBEDDED,
    EVERYTHING,
    MODES,
    NAMESPACE,
    OWN,
    Helm,
    Object,
    containers,
    environment,
    merged,
    names,
    one,
    pods,
)

Rendered = Mapping[str, list[Object]]
APISERVICE = "v1beta1.external.metrics.k8s.io"

RIGHTS = {
    # Each line: account, where, group/resource[names], verbs.
    ("api", "media", "media.docfliq.com/mediaassets", "create delete list patch"),
    ("operator", "media", "media.docfliq.com/mediaassets", "create delete get list patch watch"),
    ("operator", "media", "media.docfliq.com/mediaassets/status", "update"),
    ("operator", "media", "media.docfliq.com/mediaworkerpools", "get list watch"),
    ("operator", "media", "media.docfliq.com/mediaworkerpools/status", "patch"),
    ("operator", "media", "batch/jobs", "create delete get list watch"),
    ("operator", "media", "/events", "create"),
    ("operator", "media", "coordination.k8s.io/leases", "create"),
    ("operator", "media", "coordination.k8s.io/leases[media-operator]", "get update"),
    ("worker", "media", "media.docfliq.com/mediaassets", "get list watch"),
    ("worker", "media", "media.docfliq.com/mediaassets/status", "patch"),
    ("metrics", "media", "media.docfliq.com/mediaworkerpools", "list watch"),
    ("metrics", "media", "/secrets[media-metrics-tls]", "get update"),
    ("metrics", "cluster", f"apiregistration.k8s.io/apiservices[{APISERVICE}]", "get patch"),
    ("metrics", "kube-system", "Role extension-apiserver-authentication-reader", ""),
    ("metrics", "cluster", "ClusterRole system:auth-delegator", ""),
    ("uninstall", "media", "media.docfliq.com/mediaassets", "get list patch"),
    ("uninstall", "media", "apps/deployments[media-operator]", "get"),
    ("uninstall", "media", "apps/deployments/scale[media-operator]", "patch"),
    ("uninstall", "media", "/pods", "list"),
    ("uninstall", "cluster", f"apiregistration.k8s.io/apiservices[{APISERVICE}]", "delete get"),
}
"""Everything that anybody may do. A right that is not here is one too many; one that is not given is missed."""

SERVES_METRICS = {right for right in RIGHTS if right[0] == "metrics" or "apiservices" in right[2]}
ASKED_BY_KEDA = {right for right in RIGHTS if right[0] == "metrics" and "mediaworkerpools" in right[2]}


def rights(objects: list[Object]) -> set[tuple[str, str, str, str]]:
    """What every binding gives to whom."""
    found: set[tuple[str, str, str, str]] = set()
    for binding in (body for body in objects if body["kind"] in ("RoleBinding", "ClusterRoleBinding")):
        where = binding["metadata"].get("namespace", "cluster")
        reference = binding["roleRef"]
        role = [
            body
            for body in objects
            if (body["kind"], body["metadata"]["name"]) == (reference["kind"], reference["name"])
            and body["metadata"].get("namespace", "cluster") == ("cluster" if body["kind"] == "ClusterRole" else where)
        ]
        for subject in binding["subjects"]:
            assert subject["kind"] == "ServiceAccount", binding
            account = one(objects, "ServiceAccount", subject["name"])
            assert account["metadata"]["namespace"] == subject["namespace"], binding
            who = account["metadata"]["labels"]["app.kubernetes.io/component"]
            if not role:
                found.add((who, where, f"{reference['kind']} {reference['name']}", ""))
            found |= {(who, where, *right) for body in role for rule in body["rules"] for right in _given(rule)}
    return found


def _given(rule: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    only = f"[{','.join(rule['resourceNames'])}]" if rule.get("resourceNames") else ""
    verbs = " ".join(sorted(rule["verbs"]))
    return [(f"{group}/{resource}{only}", verbs) for group in rule["apiGroups"] for resource in rule["resources"]]


def test_every_account_has_the_rights_of_the_list_and_no_other(rendered: Rendered) -> None:
    assert rights(rendered["own PostgreSQL and S3"]) == RIGHTS


@pytest.mark.parametrize(
    "mode", ["metrics by an adapter", "scaled from outside", "not scaled", "KEDA asks Prometheus"]
)
def test_nobody_has_a_right_in_the_cluster_where_no_metrics_are_served(rendered: Rendered, mode: str) -> None:
    assert rights(rendered[mode]) == RIGHTS - SERVES_METRICS


def test_a_metrics_server_that_only_keda_asks_may_only_read_pools(rendered: Rendered) -> None:
    assert rights(rendered["KEDA asks the metrics server"]) == (RIGHTS - SERVES_METRICS) | ASKED_BY_KEDA


def test_rights_that_go_with_the_operator_are_not_held(rendered: Rendered) -> None:
    objects = rendered["own PostgreSQL and S3"]
    assert [body["metadata"]["name"] for body in objects if "finalizers" in body["metadata"]] == []
    assert "MEDIA_RIGHTS_NAME" not in environment(_only_container(one(objects, "Deployment", "media-operator")))


def test_with_a_namespace_for_assets_their_rights_are_there_and_the_lease_is_here(helm: Helm) -> None:
    objects = helm.render(merged(OWN, {"assets": {"namespace": "media-assets"}}))
    moved = {
        (who, "media-assets" if place == NAMESPACE and not _stays(what) else place, what, verbs)
        for who, place, what, verbs in RIGHTS
    }
    held = "rbac.authorization.k8s.io/rolebindings[media-operator]"
    lets_go = {(who, "media-assets", held, "get patch") for who in ("operator", "uninstall")}
    assert rights(objects) == moved | lets_go
    assert one(objects, "RoleBinding", "media-operator")["metadata"]["finalizers"] == [RIGHTS_FINALIZER]
    for kind, name in (("Deployment", "media-operator"), ("Job", "media-uninstall")):
        assert environment(_only_container(one(objects, kind, name)))["MEDIA_RIGHTS_NAME"] == "media-operator"
    for kind, name in (("MediaWorkerPool", "default"), ("HorizontalPodAutoscaler", "media-default")):
        assert one(objects, kind, name)["metadata"]["namespace"] == "media-assets"
    assert one(objects, "NetworkPolicy", "media-worker")["metadata"]["namespace"] == "media-assets"


def _only_container(body: Object) -> Object:
    (container,) = containers(body["spec"]["template"]["spec"])
    return container


def _stays(what: str) -> bool:
    return any(part in what for part in ("leases", "secrets", "deployments", "/pods"))


@pytest.mark.parametrize("mode", MODES)
def test_no_role_has_a_star(rendered: Rendered, mode: str) -> None:
    for role in (body for body in rendered[mode] if body["kind"] in ("Role", "ClusterRole")):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], role["metadata"]["name"]


@pytest.mark.parametrize("mode", MODES)
def test_every_object_says_its_namespace_and_whose_it_is(rendered: Rendered, mode: str) -> None:
    cluster_wide = {
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    for body in rendered[mode]:
        name = f"{body['kind']}/{body['metadata']['name']}"
        assert ("namespace" in body["metadata"]) == (body["kind"] not in cluster_wide), name
        assert body["metadata"]["labels"]["app.kubernetes.io/instance"] == "media", name
        assert body["metadata"]["labels"]["app.kubernetes.io/part-of"] == "media", name


CALLERS = {"media-api", "media-operator", "media-metrics", "media-uninstall"}
"""Programs that call the API server. Nobody else gets a token."""


def harm(pod: Object) -> list[str]:
    """What a pod could do without, or must not have."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    found += [f"volume {volume['name']}" for volume in pod.get("volumes", []) if "hostPath" in volume]
    context = pod["securityContext"]
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        found.append("root")
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        found.append("seccomp")
    if pod.get("enableServiceLinks") is not False:
        found.append("service links")
    for container in containers(pod):
        own = container["securityContext"]
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            found.append(f"{container['name']}: privileges")
        if own.get("capabilities") != {"drop": ["ALL"]}:
            found.append(f"{container['name']}: capabilities")
        if own.get("readOnlyRootFilesystem") is not True:
            found.append(f"{container['name']}: writable root")
        if not {"runAsUser", "runAsNonRoot", "seccompProfile"}.isdisjoint(own):
            found.append(f"{container['name']}: a user of its own")
        resources = container.get("resources", {})
        if "memory" not in resources.get("limits", {}) or not {"cpu", "memory"} <= set(resources.get("requests", {})):
            found.append(f"{container['name']}: resources")
    return found


@pytest.mark.parametrize("mode", MODES)
def test_every_pod_is_confined(rendered: Rendered, mode: str) -> None:
    found = {name: harm(pod) for name, pod in pods(rendered[mode])}
    assert found
    assert {name: harms for name, harms in found.items() if harms} == {}


@pytest.mark.parametrize("mode", MODES)
def test_only_pods_that_call_the_api_server_get_a_token(rendered: Rendered, mode: str) -> None:
    for name, pod in pods(rendered[mode]):
        commands = {container.get("command", [""])[0] for container in pod["containers"]}
        assert pod["automountServiceAccountToken"] is bool(commands & CALLERS), name


def the_worker(objects: list[Object]) -> Object:
    """The Job that an operator of this chart makes for the chart's pool."""
    told = environment(one(objects, "Deployment", "media-operator")["spec"]["template"]["spec"]["containers"][0])
    pool = one(objects, "MediaWorkerPool", "default")
    body = {**pool, "metadata": {**pool["metadata"], "uid": "0a1b2c3d-0000-4000-8000-000000000000"}}
    image = WorkerImage(
        image=told["MEDIA_WORKER_IMAGE"],
        service_account=told["MEDIA_WORKER_SERVICE_ACCOUNT"],
        s3_secret=told["MEDIA_WORKER_S3_SECRET"],
        environment={"S3_BUCKET_MEDIA": told["S3_BUCKET_MEDIA"], "AWS_REGION": told["AWS_REGION"]},
    )
    return worker_job(MediaWorkerPool.read(body), image, 1)


def test_the_worker_that_comes_of_the_chart_is_confined_and_has_what_it_names(rendered: Rendered) -> None:
    objects = rendered["own PostgreSQL and S3"]
    job = the_worker(objects)
    ((_, pod),) = pods([job])
    assert harm(pod) == []
    assert pod["automountServiceAccountToken"] is False
    one(objects, "ServiceAccount", pod["serviceAccountName"])
    selector = one(objects, "NetworkPolicy", "media-worker")["spec"]["podSelector"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert selector["matchLabels"].items() <= labels.items()
    assert {term["key"] for term in selector["matchExpressions"]} <= labels.keys()


SETTINGS = {
    "media-api": "media_api.settings.ApiSettings",
    "media-operator": "media_operator.settings.OperatorSettings",
    "media-metrics": "media_operator.external_metrics.settings.ExternalMetricsSettings",
    "media-uninstall": "media_operator.uninstall.UninstallSettings",
    "media-migrate": "media_core.settings.DatabaseSettings",
    "media-selftest": "media_api.selftest.SelftestSettings",
}


def settings(program: str) -> Any:
    module, _, name = SETTINGS[program].rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize("mode", MODES)
def test_every_variable_is_a_setting_of_its_program_and_none_that_is_required_is_missing(
    rendered: Rendered, mode: str
) -> None:
    seen = set()
    for name, pod in pods(rendered[mode]):
        for container in containers(pod):
            program = container.get("command", [""])[0]
            if program not in SETTINGS:
                continue
            seen.add(program)
            known = {row.name: row.default for row in documented(settings(program))}
            given = {entry["name"] for entry in container["env"]}
            assert given <= known.keys(), f"{name}: {sorted(given - known.keys())} are no settings of {program}"
            missing = {setting for setting, default in known.items() if default is None} - given
            assert missing == set(), f"{name}: {program} needs them"
    assert {"media-api", "media-operator", "media-migrate", "media-uninstall"} <= seen


@pytest.mark.parametrize("mode", MODES)
def test_every_program_accepts_the_values_it_is_given(rendered: Rendered, mode: str) -> None:
    secret = {
        "MEDIA_DATABASE_URL": "postgresql://media:secret@db:5432/media",
        "MEDIA_JWT_SECRET": "x" * 32,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "MEDIA_SELFTEST_TOKEN": "token",
        "MEDIA_POD_NAME": "media-operator-6f9c7d5b8-x2x7q",
    }
    for _, pod in pods(rendered[mode]):
        for container in containers(pod):
            program = container.get("command", [""])[0]
            if program in SETTINGS:
                by_reference = {entry["name"] for entry in container["env"] if "value" not in entry}
                settings(program).model_validate(
                    {**environment(container), **{name: secret[name] for name in by_reference}}
                )


def test_the_variables_of_the_worker_are_its_settings(rendered: Rendered) -> None:
    ((_, pod),) = pods([the_worker(rendered["own PostgreSQL and S3"])])
    given = {entry["name"] for entry in pod["containers"][0]["env"]}
    assert given <= {row.name for row in documented(WorkerSettings)}


def test_nobody_but_the_autoscaler_says_how_many_workers_a_scaled_pool_has(rendered: Rendered) -> None:
    for mode in MODES:
        pool = one(rendered[mode], "MediaWorkerPool", "default")
        assert ("replicas" in pool["spec"]) == (mode == "not scaled"), mode
    assert one(rendered["not scaled"], "MediaWorkerPool", "default")["spec"]["replicas"] == 4


def test_the_pool_is_a_hook_only_where_the_cluster_does_not_know_the_kind_yet(helm: Helm) -> None:
    hook, plain = (
        one(helm.render(OWN, *options), "MediaWorkerPool", "default")["metadata"]["annotations"]
        for options in ((), ("--api-versions", "media.docfliq.com/v1alpha1/MediaWorkerPool"))
    )
    assert hook["helm.sh/hook"] == "post-install"
    assert "before-hook-creation" not in hook["helm.sh/hook-delete-policy"], "it would be deleted before it is made"
    assert hook["meta.helm.sh/release-name"] == "media", "else the next upgrade could not take it over"
    assert plain == {"helm.sh/resource-policy": "keep"}


def test_the_scaled_pool_is_the_same_in_every_mode_and_the_metric_that_of_the_metrics_server(
    rendered: Rendered,
) -> None:
    for mode in ("own PostgreSQL and S3", "metrics by an adapter"):
        spec = one(rendered[mode], "HorizontalPodAutoscaler", "media-default")["spec"]
        assert spec["scaleTargetRef"] == {
            "apiVersion": "media.docfliq.com/v1alpha1",
            "kind": "MediaWorkerPool",
            "name": "default",
        }
        (metric,) = spec["metrics"]
        assert metric["external"]["metric"] == {
            "name": "media_backlog_seconds",
            "selector": {"matchLabels": {"pool": "default"}},
        }
        assert metric["external"]["target"] == {"type": "AverageValue", "averageValue": "30"}
        assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
        assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
        assert [spec["behavior"][way]["tolerance"] for way in ("scaleUp", "scaleDown")] == ["0", "0"]
    for mode in ("scaled from outside", "not scaled"):
        assert not {"HorizontalPodAutoscaler", "ScaledObject"} & {body["kind"] for body in rendered[mode]}, mode


def test_an_older_server_is_not_told_of_a_tolerance_it_does_not_know(helm: Helm) -> None:
    objects = yaml.safe_load_all(helm.run("template", "media", str(CHART), "--kube-version", "1.32.4", values=OWN))
    autoscalers = [body for body in objects if body and body["kind"] == "HorizontalPodAutoscaler"]
    assert {body["metadata"]["name"] for body in autoscalers} == {"media-default", "media-video"}
    assert not [body for body in autoscalers if "tolerance" in body["spec"]["behavior"]["scaleUp"]]


def test_keda_asks_whom_it_is_told_to_ask(rendered: Rendered) -> None:
    (asked,) = one(rendered["KEDA asks the metrics server"], "ScaledObject", "media-default")["spec"]["triggers"]
    assert asked["metadata"]["url"] == "http://media-metrics.media.svc:8080/backlog/default"
    deployment = one(rendered["KEDA asks the metrics server"], "Deployment", "media-metrics")
    told = environment(deployment["spec"]["template"]["spec"]["containers"][0])
    assert "MEDIA_METRICS_APISERVICE" not in told, "the group is KEDA's in such a cluster"
    (queried,) = one(rendered["KEDA asks Prometheus"], "ScaledObject", "media-default")["spec"]["triggers"]
    assert queried["metadata"]["query"] == 'max(media_backlog_seconds{namespace="media",pool="default"})'
    assert not [name for name in names(rendered["KEDA asks Prometheus"]) if "media-metrics" in name]


def test_an_upgrade_does_not_touch_what_the_metrics_server_writes(rendered: Rendered) -> None:
    objects = rendered["own PostgreSQL and S3"]
    spec = one(objects, "APIService", APISERVICE)["spec"]
    assert "caBundle" not in spec
    assert "insecureSkipTLSVerify" not in spec
    assert spec["service"] == {"name": "media-metrics", "namespace": "media", "port": 443}
    assert not {"data", "stringData"} & one(objects, "Secret", "media-metrics-tls").keys()


def test_the_crds_are_the_repositorys_and_stay(helm: Helm, rendered: Rendered) -> None:
    for source in sorted((CHART.parents[1] / "crds").glob("*.yaml")):
        wanted = yaml.safe_load(source.read_text(encoding="utf-8"))
        given = one(rendered["own PostgreSQL and S3"], "CustomResourceDefinition", wanted["metadata"]["name"])
        assert given["spec"] == wanted["spec"]
        assert given["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    without = helm.render(merged(OWN, {"crds": {"enabled": False}}))
    assert not [body for body in without if body["kind"] == "CustomResourceDefinition"]


def test_the_database_is_migrated_before_the_api_serves(rendered: Rendered) -> None:
    hook = one(rendered["own PostgreSQL and S3"], "Job", "media-migrate")
    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert {"activeDeadlineSeconds", "ttlSecondsAfterFinished", "backoffLimit"} <= hook["spec"].keys()
    trial = rendered["embedded PostgreSQL and S3"]
    assert "Job/media-migrate" not in names(trial), "its database comes after every pre-install hook"
    started = one(trial, "Deployment", "media-api")["spec"]["template"]["spec"]["initContainers"]
    assert [container["command"] for container in started] == [["media-migrate"]]


def test_the_way_is_made_free_before_the_release_goes(rendered: Rendered) -> None:
    objects = rendered["own PostgreSQL and S3"]
    weights = {
        f"{body['kind']}/{body['metadata']['name']}": int(body["metadata"]["annotations"]["helm.sh/hook-weight"])
        for body in objects
        if body["metadata"].get("annotations", {}).get("helm.sh/hook") == "pre-delete"
    }
    assert weights.pop("Job/media-uninstall") == 0
    assert len(weights) == 7
    assert max(weights.values()) < 0, "who it is and what it may comes before it"
    roles = [weight for name, weight in weights.items() if "Binding" not in name]
    assert max(roles) < min(weight for name, weight in weights.items() if "Binding" in name)
    assert one(objects, "Job", "media-uninstall")["spec"]["activeDeadlineSeconds"] == 180


@pytest.mark.parametrize("mode", MODES)
def test_every_pod_of_the_service_has_a_network_policy(rendered: Rendered, mode: str) -> None:
    selectors = [
        body["spec"]["podSelector"]["matchLabels"] for body in rendered[mode] if body["kind"] == "NetworkPolicy"
    ]
    for body in rendered[mode]:
        if body["kind"] in ("Deployment", "StatefulSet", "Job"):
            labels = body["spec"]["template"]["metadata"]["labels"]
            matching = [selector for selector in selectors if selector.items() <= labels.items()]
            assert matching, body["metadata"]["name"]


def reached(policy: Object) -> list[int]:
    """The ports to which it lets TCP out."""
    rules = policy["spec"]["egress"]
    return sorted(port["port"] for rule in rules for port in rule["ports"] if port["protocol"] == "TCP")


def test_network_policies_let_each_component_out_to_what_it_needs(rendered: Rendered) -> None:
    kubernetes, dns = {443, 6443}, {53}
    wanted = {
        "own PostgreSQL and S3": {
            "media-api": dns | kubernetes | {5432},
            "media-operator": dns | kubernetes | {5432},
            "media-metrics": dns | kubernetes,
            "media-migrate": dns | {5432},
            "media-uninstall": dns | kubernetes,
            "media-worker": dns | kubernetes,
        },
        "everything that can be said": {
            "pictures-api": dns | kubernetes | {5432, 9000, 8443},
            "pictures-worker": dns | kubernetes | {9000},
        },
    }
    for mode, policies in wanted.items():
        for name, ports in policies.items():
            policy = one(rendered[mode], "NetworkPolicy", name)
            assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
            assert reached(policy) == sorted(ports), name
    assert one(rendered["own PostgreSQL and S3"], "NetworkPolicy", "media-worker")["spec"]["ingress"] == []


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_let_out_to_link_local_addresses_but_a_dns_cache_that_was_named(
    rendered: Rendered, mode: str
) -> None:
    for policy in (body for body in rendered[mode] if body["kind"] == "NetworkPolicy"):
        for rule in policy["spec"].get("egress", []):
            assert rule.get("to"), f"{policy['metadata']['name']} lets everything out"
            for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
                if block["cidr"] == "0.0.0.0/0":
                    assert "169.254.0.0/16" in block["except"]
                elif block["cidr"] == "::/0":
                    assert "fe80::/10" in block["except"]
                else:
                    assert block["cidr"] == "169.254.20.10/32"


def test_secrets_are_made_only_for_a_trial(helm: Helm, rendered: Rendered) -> None:
    assert {name for name in names(rendered["own PostgreSQL and S3"]) if name.startswith("Secret/")} == {
        "Secret/media-metrics-tls"
    }
    assert "Secret/media-jwt" in names(rendered["embedded PostgreSQL and S3"])
    given = helm.render(merged(EMBEDDED, {"api": {"jwt": {"existingSecret": "tokens"}}}))
    assert "Secret/media-jwt" not in names(given)


def test_object_names_follow_the_release(helm: Helm) -> None:
    def api(release: str, values: Object) -> str:
        objects = yaml.safe_load_all(helm.run("template", release, str(CHART), values=values))
        services = (body for body in objects if body and body["kind"] == "Service")
        return next(name for body in services if (name := body["metadata"]["name"]).endswith("-api"))

    assert api("media", OWN) == "media-api"
    assert api("shop-media", OWN) == "shop-media-api"
    assert api("shop", OWN) == "shop-media-api"
    assert api("shop", merged(OWN, {"nameOverride": "pictures"})) == "shop-pictures-api"
    assert api("shop", EVERYTHING) == "pictures-api"
    assert len(api("a" * 53, OWN)) <= 63
