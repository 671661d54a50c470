"""What the chart brings for trying out, for testing and for watching: whether it is what it says."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import media_operator.metrics  # registers the operator's metrics  # noqa: F401
from media_api.metrics import Metrics as ApiMetrics
from media_api.selftest import SelftestSettings
from media_operator.external_metrics.measures import Measures
from support.chart import CHART, EMBEDDED, MODES, OWN, Helm, Object, containers, environment, merged, names, one, pods
from support.wire import Wire

ROOT = CHART.parents[1]
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
WATCHED = merged(
    OWN,
    {
        "monitoring": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}, "oldestWaitingSeconds": 77},
            "grafanaDashboard": {"enabled": True},
        }
    },
)
WITHOUT_VOLUMES = merged(
    EMBEDDED,
    {
        "postgresql": {"embedded": {"storage": {"persistence": False, "size": "1Gi"}}},
        "s3": {"embedded": {"storage": {"persistence": False, "size": "2Gi"}}},
    },
)


@pytest.fixture(scope="module")
def trial(rendered: Mapping[str, list[Object]]) -> list[Object]:
    """All that `helm install` makes with PostgreSQL and S3 embedded."""
    return rendered["embedded PostgreSQL and S3"]


@pytest.fixture(scope="module")
def watched(helm: Helm) -> list[Object]:
    """All that it makes with monitoring."""
    return helm.render(WATCHED)


def decoded(secret: Object) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


def main_container(objects: list[Object], name: str) -> Object:
    (container,) = one(objects, "StatefulSet", name)["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


# --- trying out ---


def test_nothing_is_embedded_unless_it_is_asked_for(rendered: Mapping[str, list[Object]]) -> None:
    kinds = {body["kind"] for body in rendered["own PostgreSQL and S3"]}
    assert kinds.isdisjoint({"StatefulSet", "PersistentVolumeClaim", "Secret"} - {"Secret"})
    assert not any("postgresql" in name or name.endswith("-s3") for name in names(rendered["own PostgreSQL and S3"]))


def test_the_url_of_the_embedded_database_names_its_service_and_its_password(trial: list[Object]) -> None:
    secret = decoded(one(trial, "Secret", "media-postgresql"))
    url = urlsplit(secret["MEDIA_DATABASE_URL"])
    assert (url.scheme, url.username, url.password) == ("postgresql", "media", secret["POSTGRES_PASSWORD"])
    assert (url.hostname, url.port, url.path) == ("media-postgresql", 5432, "/media")
    service = one(trial, "Service", "media-postgresql")
    assert service["spec"]["ports"] == [{"name": "postgresql", "port": 5432, "targetPort": "postgresql"}]
    assert re.fullmatch("[A-Za-z0-9]{32}", secret["POSTGRES_PASSWORD"])


def test_the_url_is_under_the_key_that_api_and_operator_read(helm: Helm) -> None:
    values = merged(EMBEDDED, {"postgresql": {"existingSecretKey": "URL"}})
    objects = helm.render(values)
    assert decoded(one(objects, "Secret", "media-postgresql"))["URL"].startswith("postgresql://media:")


def test_every_install_has_secrets_of_its_own(helm: Helm, trial: list[Object]) -> None:
    another = helm.render(EMBEDDED)
    for name in ("media-postgresql", "media-s3"):
        assert set(decoded(one(trial, "Secret", name)).values()).isdisjoint(
            decoded(one(another, "Secret", name)).values()
        )


def test_the_embedded_s3_has_the_bucket_region_and_keys_that_the_service_uses(helm: Helm) -> None:
    objects = helm.render(merged(EMBEDDED, {"s3": {"bucket": "pictures", "region": "eu-central-1"}}))
    container = main_container(objects, "media-s3")
    assert environment(container)["VGW_REGION"] == "eu-central-1"
    root = container["args"][-1]
    assert f"{root}/pictures" in [mount["mountPath"] for mount in container["volumeMounts"]]
    keys = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"] if "valueFrom" in entry}
    assert keys == {
        "ROOT_ACCESS_KEY": {"name": "media-s3", "key": "AWS_ACCESS_KEY_ID"},
        "ROOT_SECRET_KEY": {"name": "media-s3", "key": "AWS_SECRET_ACCESS_KEY"},
    }
    (api,) = (pod for name, pod in pods(objects) if name == "Deployment/media-api")
    api_environment = environment(api["containers"][0])
    assert api_environment["S3_BUCKET_MEDIA"] == "pictures"
    endpoint = urlsplit(api_environment["AWS_ENDPOINT_URL_S3"])
    assert (endpoint.hostname, endpoint.port) == ("media-s3.media.svc", 7070)


def test_a_parent_folder_is_mounted_before_what_is_in_it(trial: list[Object]) -> None:
    """The kubelet makes the folders in this order, and gives only the last of a path the rights of the volume."""
    paths = [m["subPath"] for m in main_container(trial, "media-s3")["volumeMounts"] if "subPath" in m]
    for place, path in enumerate(paths):
        parents = [str(parent) for parent in Path(path).parents if str(parent) != "."]
        assert set(parents) <= set(paths[:place]), path


def test_workers_in_another_namespace_find_the_keys_there(helm: Helm) -> None:
    objects = helm.render(merged(EMBEDDED, {"assets": {"namespace": "media-assets"}}))
    secrets = [o for o in objects if o["kind"] == "Secret" and o["metadata"]["name"] == "media-s3"]
    assert [secret["metadata"]["namespace"] for secret in secrets] == ["media", "media-assets"]
    assert decoded(secrets[0]) == decoded(secrets[1])


def test_what_is_kept_can_be_opened_again(helm: Helm, trial: list[Object]) -> None:
    """The volumes stay when the release goes, so the password of what is on them has to stay."""
    keep = {"helm.sh/resource-policy": "keep"}
    for name in ("media-postgresql", "media-s3"):
        claim = one(trial, "PersistentVolumeClaim", name)
        assert claim["metadata"]["annotations"] == keep
        volumes = one(trial, "StatefulSet", name)["spec"]["template"]["spec"]["volumes"]
        assert {"name": "data", "persistentVolumeClaim": {"claimName": name}} in volumes
    assert one(trial, "Secret", "media-postgresql")["metadata"]["annotations"] == keep


def test_without_volumes_nothing_is_kept(helm: Helm) -> None:
    objects = helm.render(WITHOUT_VOLUMES)
    assert [o["metadata"]["name"] for o in objects if o["kind"] == "PersistentVolumeClaim"] == []
    for name, size in (("media-postgresql", "1Gi"), ("media-s3", "2Gi")):
        volumes = one(objects, "StatefulSet", name)["spec"]["template"]["spec"]["volumes"]
        assert {"name": "data", "emptyDir": {"sizeLimit": size}} in volumes
    assert "annotations" not in one(objects, "Secret", "media-postgresql")["metadata"]


def test_size_and_class_of_a_volume_can_be_said(helm: Helm, trial: list[Object]) -> None:
    storage = {"size": "3Gi", "className": "fast"}
    objects = helm.render(
        merged(EMBEDDED, {"postgresql": {"embedded": {"storage": storage}}, "s3": {"embedded": {"storage": storage}}})
    )
    for name in ("media-postgresql", "media-s3"):
        claim = one(objects, "PersistentVolumeClaim", name)["spec"]
        assert claim["storageClassName"] == "fast"
        assert claim["resources"] == {"requests": {"storage": "3Gi"}}
    assert "storageClassName" not in one(trial, "PersistentVolumeClaim", "media-s3")["spec"]


def test_an_upgrade_of_the_service_leaves_the_pods_that_hold_data_alone(helm: Helm, trial: list[Object]) -> None:
    def templates(values: Object, *options: str) -> list[Any]:
        objects = helm.render(merged(WITHOUT_VOLUMES, values), *options)
        return [one(objects, "StatefulSet", name)["spec"] for name in ("media-postgresql", "media-s3")]

    newer = {"image": {"tag": "9.9.9"}, "workerImage": {"tag": "9.9.9"}, "logLevel": "debug"}
    assert templates({}) == templates(newer)
    chart = one(trial, "StatefulSet", "media-s3")["spec"]["template"]["metadata"]["labels"]
    assert not any("chart" in label or "version" in label for label in chart)


@pytest.mark.parametrize(("service", "node_port"), [("ClusterIP", None), ("NodePort", 30070), ("LoadBalancer", None)])
def test_s3_is_reached_from_outside_as_it_is_told(helm: Helm, service: str, node_port: int | None) -> None:
    said = {"s3": {"embedded": {"service": {"type": service, "nodePort": node_port}}}}
    spec = one(helm.render(merged(EMBEDDED, said)), "Service", "media-s3")["spec"]
    assert spec["type"] == service
    assert spec["ports"][0].get("nodePort") == node_port


def test_only_api_and_operator_reach_the_embedded_database(trial: list[Object]) -> None:
    spec = one(trial, "NetworkPolicy", "media-postgresql")["spec"]
    peers = spec["ingress"][0]["from"]
    assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in peers] == ["api", "operator"]
    assert spec["egress"] == []


def test_images_are_where_they_are_told_to_be(helm: Helm) -> None:
    image = {"registry": "registry.example.org", "repository": "mirror/it", "tag": "1", "pullPolicy": "Never"}
    objects = helm.render(
        merged(EMBEDDED, {"postgresql": {"embedded": {"image": image}}, "s3": {"embedded": {"image": image}}})
    )
    for name in ("media-postgresql", "media-s3"):
        container = main_container(objects, name)
        assert (container["image"], container["imagePullPolicy"]) == ("registry.example.org/mirror/it:1", "Never")


def test_no_token_and_no_right_is_given_to_what_holds_data(trial: list[Object]) -> None:
    for name, pod in pods(trial):
        if not name.startswith("StatefulSet/"):
            continue
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in containers(pod):
            restricted = container["securityContext"]
            assert restricted["readOnlyRootFilesystem"] is True, name
            assert restricted["allowPrivilegeEscalation"] is False, name
            assert restricted["capabilities"] == {"drop": ["ALL"]}, name


# --- helm test ---


def hooks_of_test(objects: list[Object]) -> list[Object]:
    return [o for o in objects if "test" in o["metadata"].get("annotations", {}).get("helm.sh/hook", "").split(",")]


def test_helm_test_is_told_all_that_the_self_test_needs(trial: list[Object]) -> None:
    (pod,) = hooks_of_test(trial)
    (container,) = pod["spec"]["containers"]
    said = {entry["name"]: entry.get("value", "from a Secret") for entry in container["env"]}
    settings = SelftestSettings(**said)
    assert settings.url == "http://media-api.media.svc:80"
    assert settings.s3_endpoint_url == "http://media-s3.media.svc:7070"
    known = {field.alias for field in SelftestSettings.model_fields.values()}
    assert set(said) <= known
    assert pod["spec"]["activeDeadlineSeconds"] > settings.timeout_seconds


def test_with_storage_of_ones_own_the_self_test_goes_where_presigned_urls_lead(helm: Helm) -> None:
    (pod,) = hooks_of_test(helm.render(OWN))
    assert "MEDIA_SELFTEST_S3_ENDPOINT_URL" not in environment(pod["spec"]["containers"][0])


def test_where_tokens_are_checked_by_public_keys_helm_test_needs_one(helm: Helm) -> None:
    keys = merged(OWN, {"api": {"jwt": {"existingSecret": "", "jwksUrl": "https://login.example.org/jwks.json"}}})
    assert hooks_of_test(helm.render(keys)) == []
    (pod,) = hooks_of_test(helm.render(merged(keys, {"tests": {"tokenSecret": "tester"}})))
    entries = {entry["name"]: entry for entry in pod["spec"]["containers"][0]["env"]}
    assert entries["MEDIA_SELFTEST_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "tester"
    assert "MEDIA_JWT_SECRET" not in entries


def test_the_self_test_may_call_an_api_whose_callers_are_narrowed_down(helm: Helm) -> None:
    objects = helm.render(merged(OWN, {"networkPolicy": {"apiFrom": [{"namespaceSelector": {}}]}}))
    policy = one(objects, "NetworkPolicy", "media-test")["spec"]
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"
    (pod,) = hooks_of_test(objects)
    selector = policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()


# --- watching ---


def exposed() -> dict[str, str]:
    """Every sample a scrape of the three programs can show, and its kind."""
    found: dict[str, str] = {}
    texts = [ApiMetrics().exposition().decode(), _text(REGISTRY), _text(Measures(lambda: ()).registry)]
    for family in (family for text in texts for family in text_string_to_metric_families(text)):
        if not family.name.startswith("media_") or family.name.endswith("_created"):
            continue
        match family.type:
            case "counter":
                found[f"{family.name}_total"] = "counter"
            case "histogram":
                found.update({f"{family.name}_{part}": "counter" for part in ("bucket", "count", "sum")})
            case other:
                found[family.name] = other
    return found


def _text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


KNOWN = exposed()
LABELS = {
    "media_leader": set[str](),
    "media_backlog_seconds": {"pool"},
    "media_assets_queued": {"pool"},
    "media_assets_bound": {"pool"},
    "media_worker_jobs": {"pool"},
    "media_oldest_waiting_seconds": {"pool"},
    "media_workers_stuck": {"pool"},
    "media_pool_degraded": {"pool"},
    "media_binds_total": {"pool"},
    "media_releases_total": {"reason"},
    "media_assets_settled_total": {"phase", "reason"},
    "media_api_request_seconds_bucket": {"method", "route", "status", "le"},
    "media_api_request_seconds_count": {"method", "route", "status"},
    "media_api_problems_total": {"type"},
    "media_api_uploads_total": {"asset_type"},
    "media_api_confirms_total": {"outcome"},
    "media_api_objects_total": {"outcome"},
    "media_reconcile_seconds_bucket": {"le"},
    "media_external_metrics_backlog_seconds": {"pool"},
}
"""Labels by which an expression may ask; of a metric that is not here, none."""

METRIC = re.compile(r"\b(media_[a-z0-9_]+)\b")
SELECTOR = re.compile(r"\b(media_[a-z0-9_]+)\{([^}]*)\}")
MATCHER = re.compile(r"(\w+)(?:=~|!~|!=|=)\"[^\"]*\"")
GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
RATED = re.compile(r"\b(?:rate|increase)\((media_[a-z0-9_]+)")
STRING = re.compile(r"\"(?:[^\"\\]|\\.)*\"")


def wrong(expression: str) -> Iterator[str]:
    """What is not right with an expression."""
    bare = STRING.sub('""', expression)
    open_: list[str] = []
    for sign in bare:
        if sign in "([{":
            open_.append(sign)
        elif sign in ")]}" and (not open_ or open_.pop() + sign not in ("()", "[]", "{}")):
            yield f"{sign} closes nothing"
    if open_:
        yield f"{open_[-1]} is not closed"
    metrics = METRIC.findall(bare)
    if not metrics:
        yield "it asks for nothing"
    yield from (f"{name} does not exist" for name in metrics if name not in KNOWN)
    labels = set().union(*(LABELS.get(name, set()) for name in metrics))
    for group in GROUPED.findall(bare):
        yield from (f"no metric in it has a label {name}" for name in re.findall(r"\w+", group) if name not in labels)
    selected = SELECTOR.findall(expression)
    if len(selected) != len(metrics):
        yield "a metric of every namespace is asked for"
    for name, matchers in selected:
        matched = [matcher[0] for matcher in MATCHER.finditer(matchers)]
        asked = {MATCHER.fullmatch(matcher)[1] for matcher in matched}
        yield from (f"{name} has no label {label}" for label in asked - LABELS.get(name, set()) - {"namespace"})
        if "namespace" not in asked:
            yield f"{name} is asked for in every namespace"
    yield from (f"{name} does not only grow" for name in RATED.findall(bare) if KNOWN.get(name) != "counter")


def test_what_is_wrong_with_an_expression_is_found() -> None:
    cases = {
        'sum(media_leader{namespace="m"}': "is not closed",
        'sum(media_leader{namespace="m"}))': "closes nothing",
        'media_leaders{namespace="m"}': "does not exist",
        "media_leader": "every namespace",
        'media_leader{pool="a"}': "has no label pool",
        'sum by (pool) (media_leader{namespace="m"})': "has a label pool",
        'rate(media_leader{namespace="m"}[5m])': "does not only grow",
    }
    for expression, reason in cases.items():
        assert reason in " ".join(wrong(expression)), expression
    assert list(wrong('sum(media_leader{namespace="a)"}) < 1')) == []


def test_the_labels_of_this_table_are_those_of_the_metrics() -> None:
    assert sorted(LABELS) == sorted(name for name in LABELS if name in KNOWN)


def alerts(objects: Iterable[Object]) -> list[Object]:
    rules = [body for body in objects if body["kind"] == "PrometheusRule"]
    return [rule for body in rules for group in body["spec"]["groups"] for rule in group["rules"]]


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_every_alert_asks_for_what_there_is_and_says_what_to_do(watched: list[Object]) -> None:
    found = alerts(watched)
    assert len({alert["alert"] for alert in found}) == len(found) >= 10
    for alert in found:
        assert list(wrong(alert["expr"])) == [], alert["alert"]
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert re.fullmatch(r"\d+m", alert["for"])
        said = alert["annotations"]
        assert set(said) == {"summary", "description", "runbook"}
        page, _, anchor = said["runbook"].partition("#")
        assert anchor in anchors(ROOT / page), said["runbook"]
        named = set(re.findall(r"\$labels\.(\w+)", said["summary"] + said["description"]))
        grouped = {name for group in GROUPED.findall(alert["expr"]) for name in re.findall(r"\w+", group)}
        assert named <= grouped, alert["alert"]


def test_the_page_on_monitoring_lists_the_alerts_and_the_settings_of_the_self_test(watched: list[Object]) -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(Media\w+)` \| (\w+) \|.*\(operations\.md#([\w-]+)\) \|$", page, re.MULTILINE)
    assert listed == [
        (alert["alert"], alert["labels"]["severity"], alert["annotations"]["runbook"].partition("#")[2])
        for alert in alerts(watched)
    ]
    settings = {field.alias for field in SelftestSettings.model_fields.values()} - {
        "MEDIA_NAMESPACE",
        "MEDIA_LOG_LEVEL",
    }
    assert {name for name in settings if f"`{name}`" not in page} == set()
    told = METRIC.findall(page)
    assert [name for name in told if name not in KNOWN and f"{name}_count" not in KNOWN] == []


def test_alerts_are_about_this_release_and_its_limits(watched: list[Object]) -> None:
    found = {alert["alert"]: alert["expr"] for alert in alerts(watched)}
    assert all('namespace="media"' in expression for expression in found.values())
    assert found["MediaAssetsWait"].endswith("> 77")


def test_alerts_about_the_metrics_server_are_there_where_it_is(helm: Helm) -> None:
    about = {"MediaScalingBlind", "MediaMetricsCertificateEnds"}
    told = {
        mode: {alert["alert"] for alert in alerts(helm.render(merged(WATCHED, {"autoscaling": values})))} & about
        for mode, values in {
            "builtin": {"metrics": "builtin"},
            "keda": {"metrics": "keda"},
            "prometheus": {"metrics": "prometheus"},
            "none": {"enabled": False},
        }.items()
    }
    assert told == {"builtin": about, "keda": {"MediaScalingBlind"}, "prometheus": set(), "none": set()}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.name))
def test_every_panel_asks_for_what_there_is(path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["title"] for panel in panels}) == len(panels) >= 12
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert list(wrong(target["expr"])) == [], panel["title"]
            used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
            assert used <= variables, panel["title"]
            legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = {name for group in GROUPED.findall(target["expr"]) for name in re.findall(r"\w+", group)}
            assert legend <= grouped, panel["title"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: str(path.name))
def test_panels_do_not_lie_over_each_other(path: Path) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_the_dashboard_arrives_as_it_is(watched: list[Object]) -> None:
    found = one(watched, "ConfigMap", "media-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {name: json.loads(text) for name, text in found["data"].items()} == {
        path.name: json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS
    }


def test_every_metric_is_shown_or_watched_somewhere(watched: list[Object]) -> None:
    expressions = [alert["expr"] for alert in alerts(watched)]
    for path in DASHBOARDS:
        panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
        expressions += [target["expr"] for panel in panels for target in panel.get("targets", [])]
    asked = {name for expression in expressions for name in METRIC.findall(expression)}
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in KNOWN if "external_metrics" not in name}
    assert sorted(families - {re.sub("_(bucket|count|sum)$", "", name) for name in asked}) == []


def test_service_monitors_find_a_service_and_a_port_of_it(watched: list[Object]) -> None:
    monitors = [body for body in watched if body["kind"] == "ServiceMonitor"]
    assert {monitor["metadata"]["name"] for monitor in monitors} == {"media-api", "media-operator", "media-metrics"}
    for monitor in monitors:
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        services = [o for o in watched if o["kind"] == "Service" and wanted <= o["metadata"]["labels"].items()]
        assert [service["metadata"]["name"] for service in services] == [monitor["metadata"]["name"]]
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in [port["name"] for port in services[0]["spec"]["ports"]]
        assert endpoint["path"] == "/metrics"


def test_without_a_metrics_server_nothing_is_scraped_of_it(helm: Helm) -> None:
    objects = helm.render(merged(WATCHED, {"autoscaling": {"enabled": False}}))
    found = {body["metadata"]["name"] for body in objects if body["kind"] == "ServiceMonitor"}
    assert found == {"media-api", "media-operator"}


def test_nothing_watches_unless_it_is_asked_for(rendered: Mapping[str, list[Object]]) -> None:
    watching = {"ServiceMonitor", "PrometheusRule", "ConfigMap"}
    for mode, objects in rendered.items():
        if not MODES[mode].get("monitoring"):
            assert watching.isdisjoint(body["kind"] for body in objects), mode


# --- on a real API server ---

SCALED_BY_NOBODY = {
    "crds": {"enabled": False},
    "admissionPolicy": {"enabled": False},
    "autoscaling": {"metrics": "none"},
}


async def test_passwords_and_keys_stay_through_upgrades_and_what_volumes_need_through_a_new_installation(
    live_helm: Helm, wire: Wire, kinds: None, namespace: str
) -> None:
    values = merged(EMBEDDED, SCALED_BY_NOBODY)
    where = ("media", str(CHART), "--namespace", namespace)
    core = f"/api/v1/namespaces/{namespace}"

    async def held(name: str) -> Object:
        answer = await wire.get(f"{core}/secrets/{name}")
        assert answer.code == 200, answer.body
        return decoded(answer.body)

    live_helm.run("install", *where, values=values)
    try:
        database, storage = await held("media-postgresql"), await held("media-s3")
        live_helm.run("upgrade", *where, values=merged(values, {"logLevel": "debug"}))
        assert (await held("media-postgresql"), await held("media-s3")) == (database, storage)

        live_helm.run("uninstall", "media", "--namespace", namespace, "--no-hooks")
        assert await held("media-postgresql") == database
        assert (await wire.get(f"{core}/secrets/media-s3")).code == 404
        for claim in ("media-postgresql", "media-s3"):
            assert (await wire.get(f"{core}/persistentvolumeclaims/{claim}")).code == 200

        live_helm.run("install", *where, values=values)
        assert await held("media-postgresql") == database
        assert await held("media-s3") != storage
    finally:
        live_helm.run("uninstall", "media", "--namespace", namespace, "--no-hooks", "--ignore-not-found")
