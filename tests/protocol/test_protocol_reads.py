"""Lists, selectors, pages, tables, discovery."""

from __future__ import annotations

import pytest

from support.apiobjects import config_map, media_asset, succeeded_condition, worker_pool
from support.wire import Wire


def names(body: dict) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"]]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        pytest.param("tier=gold", ["a"], id="equal"),
        pytest.param("tier!=gold", ["b", "c"], id="not equal, also without the label"),
        pytest.param("tier in (gold, silver)", ["a", "b"], id="in a set"),
        pytest.param("tier notin (gold)", ["b", "c"], id="not in a set"),
        pytest.param("tier", ["a", "b"], id="present"),
        pytest.param("!tier", ["c"], id="absent"),
        pytest.param("tier,zone=eu", ["b"], id="two of them"),
    ],
)
async def test_a_label_selector_chooses(wire: Wire, config_maps: str, selector: str, expected: list[str]) -> None:
    await wire.create(config_maps, config_map("a", labels={"tier": "gold"}))
    await wire.create(config_maps, config_map("b", labels={"tier": "silver", "zone": "eu"}))
    await wire.create(config_maps, config_map("c", labels={"zone": "eu"}))
    listed = await wire.get(config_maps, labelSelector=selector)
    assert [name for name in names(listed.body) if name in ("a", "b", "c")] == expected


async def test_a_label_selector_that_cannot_be_read_is_a_bad_request(wire: Wire, config_maps: str) -> None:
    assert (await wire.get(config_maps, labelSelector="tier in gold")).code == 400


async def test_assets_are_selected_by_the_job_they_are_assigned_to(wire: Wire, assets: str) -> None:
    for name in ("a", "b", "c"):
        await wire.create(assets, media_asset(name))
    await wire.merge(f"{assets}/b/status", {"status": {"assignedJob": "job-1"}})
    assert names((await wire.get(assets, fieldSelector="status.assignedJob=job-1")).body) == ["b"]
    assert names((await wire.get(assets, fieldSelector="status.assignedJob=")).body) == ["a", "c"]
    assert names((await wire.get(assets, fieldSelector="metadata.name!=a")).body) == ["b", "c"]


async def test_a_field_that_cannot_be_selected_is_a_bad_request(wire: Wire, assets: str) -> None:
    answer = await wire.get(assets, fieldSelector="spec.owner=user-1")
    assert (answer.code, answer.reason) == (400, "BadRequest")
    assert "field label not supported" in answer.body["message"]


async def test_events_are_found_by_the_object_they_are_about(wire: Wire, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/events"
    for name, about in (("one", "a"), ("two", "b")):
        created = await wire.create(
            path,
            {
                "metadata": {"name": name},
                "involvedObject": {"kind": "MediaAsset", "name": about, "namespace": namespace},
                "reason": "Bound",
                "message": "bound",
                "type": "Normal",
                "source": {"component": "test"},
                "firstTimestamp": "2026-01-01T00:00:00Z",
                "lastTimestamp": "2026-01-01T00:00:00Z",
                "count": 1,
            },
        )
        assert created.code == 201, created.body
    selector = f"involvedObject.name=b,involvedObject.namespace={namespace}"
    assert names((await wire.get(path, fieldSelector=selector)).body) == ["two"]


async def test_a_list_across_namespaces_holds_those_of_each(wire: Wire, assets: str, namespace: str) -> None:
    await wire.create(assets, media_asset("a"))
    everywhere = await wire.get("/apis/media.docfliq.com/v1alpha1/mediaassets")
    found = [item["metadata"]["namespace"] for item in everywhere.body["items"]]
    assert namespace in found


async def test_pages_together_are_the_list_as_it_was_at_the_first(wire: Wire, assets: str) -> None:
    for number in range(5):
        await wire.create(assets, media_asset(f"a{number}"))
    first = (await wire.get(assets, limit="2")).body
    assert names(first) == ["a0", "a1"]
    assert first["metadata"]["remainingItemCount"] == 3
    await wire.create(assets, media_asset("a9"))
    await wire.delete(f"{assets}/a4")
    second = (await wire.get(assets, limit="2", **{"continue": first["metadata"]["continue"]})).body
    third = (await wire.get(assets, limit="2", **{"continue": second["metadata"]["continue"]})).body
    assert names(second) + names(third) == ["a2", "a3", "a4"]
    assert not third["metadata"].get("continue")
    versions = {page["metadata"]["resourceVersion"] for page in (first, second, third)}
    assert len(versions) == 1


async def test_a_list_names_the_kind_of_its_items(wire: Wire, assets: str) -> None:
    listed = (await wire.get(assets)).body
    assert listed["kind"] == "MediaAssetList"
    assert listed["apiVersion"] == "media.docfliq.com/v1alpha1"


async def test_a_table_has_the_columns_of_the_crd(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    status = {"phase": "Scheduled", "attempts": 1, "conditions": [succeeded_condition("Bound")]}
    await wire.merge(f"{assets}/a/status", {"status": status})
    table = await wire.table(assets)
    assert table["kind"] == "Table"
    columns = {one["name"]: one for one in table["columnDefinitions"]}
    assert list(columns) == ["Name", "Type", "Phase", "Reason", "Attempts", "Owner", "Age", "Job", "Size"]
    assert columns["Job"]["priority"] == 1
    row = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert row["Name"] == "a"
    assert row["Phase"] == "Scheduled"
    assert row["Reason"] == "Bound"
    assert row["Attempts"] == 1
    assert row["Size"] == 1234
    assert row["Job"] is None
    assert row["Age"].endswith("s")
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_a_table_of_one_object_has_one_row(wire: Wire, pools: str) -> None:
    await wire.create(pools, worker_pool("p"))
    table = await wire.table(f"{pools}/p", includeObject="Object")
    assert len(table["rows"]) == 1
    assert table["rows"][0]["object"]["spec"]["replicas"] == 1


async def test_discovery_tells_names_categories_and_subresources(wire: Wire, assets: str) -> None:
    groups = (await wire.get("/apis")).body["groups"]
    assert "media.docfliq.com" in [group["name"] for group in groups]
    listed = (await wire.get("/apis/media.docfliq.com/v1alpha1")).body["resources"]
    resources = {one["name"]: one for one in listed}
    assert resources["mediaassets"]["shortNames"] == ["ma"]
    assert resources["mediaassets"]["categories"] == ["media"]
    assert {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} <= set(
        resources["mediaassets"]["verbs"]
    )
    assert "mediaassets/status" in resources
    assert "mediaassets/scale" not in resources
    assert resources["mediaworkerpools/scale"]["kind"] == "Scale"


async def test_a_path_that_is_not_served_is_not_found(wire: Wire) -> None:
    assert (await wire.get("/apis/media.docfliq.com/v1alpha1/nothings")).code == 404
    assert (await wire.get("/apis/nothing.example/v1")).code == 404


async def test_the_version_is_told(wire: Wire) -> None:
    answer = (await wire.get("/version")).body
    assert answer["major"] == "1"
    assert answer["gitVersion"].startswith("v1.")


async def test_the_openapi_of_a_crd_carries_its_schema(wire: Wire, assets: str) -> None:
    index = (await wire.get("/openapi/v3")).body["paths"]
    place = index["apis/media.docfliq.com/v1alpha1"]["serverRelativeURL"].partition("?")[0]
    schemas = (await wire.get(place)).body["components"]["schemas"]
    kinds = {
        kind["kind"]: schema
        for schema in schemas.values()
        for kind in schema.get("x-kubernetes-group-version-kind", ())
    }
    assert "spec" in kinds["MediaAsset"]["properties"]
