"""The two schemas, read as text: what is bounded, what is told, and that no field of ours would be pruned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from media_core.asset import AssetSpec, AssetStatus, AssetType, DeletionPolicy, Phase, VideoBackend
from media_core.conditions import ConditionType, Truth
from media_core.names import ASSET_KIND, ASSETS, GROUP, POOL_KIND, POOLS, VERSION
from media_core.pool import PoolSpec, PoolStatus
from media_core.reasons import Reason
from media_core.renditions import DEFAULT_RENDITIONS

JSON = dict[str, Any]
FOLDER = Path(__file__).parents[2] / "crds"
ASSET: JSON = yaml.safe_load((FOLDER / "mediaasset.yaml").read_text())
POOL: JSON = yaml.safe_load((FOLDER / "mediaworkerpool.yaml").read_text())
OF_EVERY_OBJECT = ("apiVersion", "kind", "metadata")


def version(crd: JSON) -> JSON:
    (only,) = crd["spec"]["versions"]
    return dict(only)


def schema(crd: JSON, *path: str) -> JSON:
    found: JSON = version(crd)["schema"]["openAPIV3Schema"]
    for name in path:
        found = found["properties"][name]
    return found


def parts(node: JSON, path: str = "") -> Iterator[tuple[str, JSON]]:
    """Every value of ours that the schema speaks of, with its path."""
    for name, part in node.get("properties", {}).items():
        if path or name not in OF_EVERY_OBJECT:
            yield f"{path}.{name}", part
            yield from parts(part, f"{path}.{name}")
    if "items" in node:
        yield f"{path}[]", node["items"]
        yield from parts(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield f"{path}{{}}", node["additionalProperties"]
        yield from parts(node["additionalProperties"], f"{path}{{}}")


EVERYTHING = [
    pytest.param(part, id=crd["spec"]["names"]["kind"] + path)
    for crd in (ASSET, POOL)
    for path, part in parts(schema(crd))
]


@pytest.mark.parametrize("part", EVERYTHING)
def test_every_value_is_described_and_bounded(part: JSON) -> None:
    """Unbounded values make CEL rules unaffordable and let one object fill etcd."""
    assert part["description"].endswith((".", "?"))
    if "anyOf" in part:
        assert part["x-kubernetes-int-or-string"]
        assert "maxLength" in part
        return
    match part["type"]:
        case "string":
            assert "maxLength" in part or "enum" in part or part.get("format") == "date-time"
        case "array":
            assert "maxItems" in part
        case "object":
            free = "additionalProperties" in part
            assert "properties" in part or free or part.get("x-kubernetes-preserve-unknown-fields")
            assert not free or "maxProperties" in part or part["additionalProperties"].get("maxLength")
        case "integer":
            assert part.get("format") == "int64" or "minimum" in part
        case _:
            assert part["type"] == "boolean"


@pytest.mark.parametrize("part", [param for param in EVERYTHING if "pattern" in param.values[0]])
def test_every_pattern_holds_the_whole_text(part: JSON) -> None:
    assert part["pattern"].startswith("^")
    assert part["pattern"].endswith("$")
    assert re.compile(part["pattern"])


@pytest.mark.parametrize(
    ("crd", "kind", "plural", "short"),
    [
        pytest.param(ASSET, ASSET_KIND, ASSETS, "ma", id="assets"),
        pytest.param(POOL, POOL_KIND, POOLS, "mwp", id="pools"),
    ],
)
def test_the_names_are_those_the_programs_use(crd: JSON, kind: str, plural: str, short: str) -> None:
    assert crd["metadata"]["name"] == f"{plural}.{GROUP}"
    assert (crd["spec"]["group"], version(crd)["name"], crd["spec"]["scope"]) == (GROUP, VERSION, "Namespaced")
    names = crd["spec"]["names"]
    assert (names["kind"], names["plural"], names["shortNames"], names["categories"]) == (
        kind,
        plural,
        [short],
        ["media"],
    )


# --- what the models write is what the schema keeps ------------------------------------------------------------------


def fields(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel] | None]]:
    """Names as written, and the model of each value where it is one of ours."""
    for name, field in model.model_fields.items():
        yield field.alias or name, next(_models(field.annotation), None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def compare(model: type[BaseModel], node: JSON, path: str) -> Iterator[str]:
    """Paths of which only one side knows."""
    node = node.get("items", node)
    known = node.get("properties", {})
    named = dict(fields(model))
    yield from (f"{path}.{name}" for name in known.keys() ^ named.keys())
    for name, inner in named.items():
        if inner is not None and name in known:
            yield from compare(inner, known[name], f"{path}.{name}")


@pytest.mark.parametrize(
    ("model", "node"),
    [
        pytest.param(AssetSpec, schema(ASSET, "spec"), id="MediaAsset.spec"),
        pytest.param(AssetStatus, schema(ASSET, "status"), id="MediaAsset.status"),
        pytest.param(PoolSpec, schema(POOL, "spec"), id="MediaWorkerPool.spec"),
        pytest.param(PoolStatus, schema(POOL, "status"), id="MediaWorkerPool.status"),
    ],
)
def test_schema_and_model_know_the_same_fields(model: type[BaseModel], node: JSON) -> None:
    """A field that the schema lacks would be pruned without a word."""
    assert sorted(compare(model, node, "")) == []


@pytest.mark.parametrize(
    ("values", "part"),
    [
        pytest.param(AssetType, schema(ASSET, "spec", "assetType"), id="types"),
        pytest.param(DeletionPolicy, schema(ASSET, "spec", "deletionPolicy"), id="deletion policies"),
        pytest.param(Phase, schema(ASSET, "status", "phase"), id="phases"),
        pytest.param(VideoBackend, schema(ASSET, "status", "video", "backend"), id="video backends"),
    ],
)
def test_enums_are_the_same_on_both_sides(values: Any, part: JSON) -> None:
    assert {value.value for value in values} == set(part["enum"])


@pytest.mark.parametrize("crd", [pytest.param(ASSET, id="assets"), pytest.param(POOL, id="pools")])
def test_every_reason_and_type_fits_a_condition(crd: JSON) -> None:
    condition = schema(crd, "status", "conditions")
    assert condition["x-kubernetes-list-map-keys"] == ["type"]
    item = condition["items"]["properties"]
    assert {value.value for value in Truth} == set(item["status"]["enum"])
    for reason in Reason:
        assert re.search(item["reason"]["pattern"], reason.value)
        assert len(reason.value) <= item["reason"]["maxLength"]
    assert all(len(type_.value) <= item["type"]["maxLength"] for type_ in ConditionType)
    assert len(ConditionType) <= condition["maxItems"]
    assert item["message"]["maxLength"] == 1024


@pytest.mark.parametrize(
    ("model", "node"),
    [
        pytest.param(AssetSpec, schema(ASSET, "spec"), id="MediaAsset.spec"),
        pytest.param(PoolSpec, schema(POOL, "spec"), id="MediaWorkerPool.spec"),
    ],
)
def test_a_default_stands_in_the_schema_where_it_stands_in_the_model(model: type[BaseModel], node: JSON) -> None:
    required = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
    assert required == set(node.get("required", []))
    assert {name for name, part in node["properties"].items() if "default" in part} == node[
        "properties"
    ].keys() - required


def test_the_asset_defaults_are_those_of_the_model() -> None:
    for name, field in AssetSpec.model_fields.items():
        if not field.is_required():
            assert schema(ASSET, "spec", field.alias or name)["default"] == field.default


def test_the_default_renditions_fit_the_schema_of_results() -> None:
    variants = schema(ASSET, "status", "result", "variants")
    renditions = schema(POOL, "spec", "renditions")
    assert variants["maxItems"] == renditions["maxItems"]
    name = variants["items"]["properties"]["name"]
    assert name == {**renditions["items"]["properties"]["name"], "description": name["description"]}
    assert all(re.search(name["pattern"], rendition.name) for rendition in DEFAULT_RENDITIONS)


# --- subresources, columns, selectors --------------------------------------------------------------------------------


def test_status_is_a_subresource_and_a_pool_is_scaled() -> None:
    assert version(ASSET)["subresources"] == {"status": {}}
    assert version(POOL)["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


def test_a_worker_can_watch_what_is_bound_to_its_job() -> None:
    assert version(ASSET)["selectableFields"] == [{"jsonPath": ".status.assignedJob"}]


def columns(crd: JSON) -> tuple[list[str], list[str]]:
    """Names of the columns of `kubectl get`, and of those that only `-o wide` shows."""
    found = version(crd)["additionalPrinterColumns"]
    return (
        [column["name"].upper() for column in found if not column.get("priority")],
        [column["name"].upper() for column in found if column.get("priority")],
    )


def test_kubectl_shows_an_asset_in_six_columns_and_two_more() -> None:
    assert columns(ASSET) == (["TYPE", "PHASE", "REASON", "ATTEMPTS", "OWNER", "AGE"], ["JOB", "SIZE"])


def test_kubectl_shows_what_a_pool_does() -> None:
    assert columns(POOL)[0] == ["REPLICAS", "JOBS", "BUSY", "QUEUED", "BACKLOG", "REASON", "AGE"]


@pytest.mark.parametrize("crd", [pytest.param(ASSET, id="assets"), pytest.param(POOL, id="pools")])
def test_every_column_shows_something_there_is(crd: JSON) -> None:
    for column in version(crd)["additionalPrinterColumns"]:
        path = re.sub(r"\[\?\(.*?\)\]", "", column["jsonPath"]).strip(".").split(".")
        if path[0] == "metadata":
            continue
        part = schema(crd)
        for name in path:
            part = part.get("items", part)["properties"][name]
        assert part["type"] == column["type"]


# --- what may not be changed -----------------------------------------------------------------------------------------


def rules(node: JSON) -> str:
    return " ".join(rule["rule"] for rule in node.get("x-kubernetes-validations", []))


@pytest.mark.parametrize("name", ["assetType", "owner"])
def test_a_field_that_is_one_value_cannot_be_changed(name: str) -> None:
    assert rules(schema(ASSET, "spec", name)) == "self == oldSelf"


def test_no_field_of_the_source_can_be_changed() -> None:
    source = schema(ASSET, "spec", "source")
    told = rules(source)
    assert all(f"self.{name} == oldSelf.{name}" in told for name in source["properties"])


def test_the_pool_of_an_asset_cannot_be_changed_and_retention_can() -> None:
    told = rules(schema(ASSET, "spec"))
    assert "self.pool == oldSelf.pool" in told
    assert not any(name in told for name in ("ttlSecondsAfterFinished", "deletionPolicy", "priority"))


def test_a_pools_name_leaves_room_for_the_names_of_its_jobs() -> None:
    assert schema(ASSET, "spec", "pool")["maxLength"] == 40
