"""Creating, replacing, patching: versions, conflicts, subresources."""

from __future__ import annotations

from typing import Any

import pytest

from support.apiobjects import config_map, media_asset, succeeded_condition, worker_pool
from support.wire import Wire


def version(body: dict[str, Any]) -> str:
    return str(body["metadata"]["resourceVersion"])


async def test_a_created_object_gets_uid_version_generation_and_time(wire: Wire, assets: str) -> None:
    created = await wire.create(assets, media_asset("a"))
    assert created.code == 201
    metadata = created.body["metadata"]
    assert metadata["uid"]
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["generation"] == 1
    assert metadata["creationTimestamp"].endswith("Z")


async def test_a_second_create_of_a_name_is_refused_as_already_existing(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    again = await wire.create(assets, media_asset("a"))
    assert (again.code, again.reason) == (409, "AlreadyExists")


async def test_generate_name_is_completed_by_five_characters(wire: Wire, config_maps: str) -> None:
    body = {"metadata": {"generateName": "made-"}}
    created = await wire.create(config_maps, body)
    name = created.body["metadata"]["name"]
    assert name.startswith("made-")
    assert len(name) == len("made-") + 5


async def test_an_object_in_a_namespace_that_does_not_exist_is_refused(wire: Wire) -> None:
    path = "/api/v1/namespaces/no-such-namespace/configmaps"
    answer = await wire.create(path, config_map("a"))
    assert (answer.code, answer.reason) == (404, "NotFound")


async def test_a_missing_object_is_not_found(wire: Wire, assets: str) -> None:
    answer = await wire.get(f"{assets}/absent")
    assert (answer.code, answer.reason) == (404, "NotFound")
    assert answer.body["kind"] == "Status"


async def test_a_replace_of_an_old_version_is_a_conflict(wire: Wire, assets: str) -> None:
    first = (await wire.create(assets, media_asset("a"))).body
    await wire.merge(f"{assets}/a", {"metadata": {"labels": {"seen": "yes"}}})
    first["spec"]["priority"] = 7
    answer = await wire.replace(f"{assets}/a", first)
    assert (answer.code, answer.reason) == (409, "Conflict")
    assert (await wire.get(f"{assets}/a")).body["spec"]["priority"] == 0


async def test_a_replace_of_a_custom_object_must_name_a_version(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    answer = await wire.replace(f"{assets}/a", media_asset("a"))
    assert answer.code == 422
    assert "metadata.resourceVersion" in answer.causes


async def test_a_replace_of_a_built_in_object_may_do_without_a_version(wire: Wire, config_maps: str) -> None:
    await wire.create(config_maps, config_map("a", one="1"))
    answer = await wire.replace(f"{config_maps}/a", config_map("a", two="2"))
    assert answer.code == 200
    assert answer.body["data"] == {"two": "2"}


async def test_a_merge_patch_that_carries_an_old_version_is_a_conflict(wire: Wire, assets: str) -> None:
    first = (await wire.create(assets, media_asset("a"))).body
    await wire.merge(f"{assets}/a", {"spec": {"priority": 1}})
    patch = {"metadata": {"resourceVersion": version(first)}, "spec": {"priority": 2}}
    answer = await wire.merge(f"{assets}/a", patch)
    assert (answer.code, answer.reason) == (409, "Conflict")


async def test_a_merge_patch_without_a_version_wins(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    answer = await wire.merge(f"{assets}/a", {"spec": {"priority": 5}})
    assert answer.body["spec"]["priority"] == 5


async def test_null_in_a_merge_patch_removes_a_field(wire: Wire, config_maps: str) -> None:
    await wire.create(config_maps, config_map("a", one="1", two="2"))
    answer = await wire.merge(f"{config_maps}/a", {"data": {"one": None}})
    assert answer.body["data"] == {"two": "2"}


async def test_a_write_that_changes_nothing_keeps_the_version(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    first = (await wire.merge(f"{assets}/a/status", {"status": {"attempts": 1}})).body
    again = await wire.merge(f"{assets}/a", {"spec": {"priority": 0}})
    assert version(again.body) == version(first)


async def test_the_generation_counts_changes_of_the_spec_only(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    labelled = await wire.merge(f"{assets}/a", {"metadata": {"labels": {"x": "y"}}})
    assert labelled.body["metadata"]["generation"] == 1
    reported = await wire.merge(f"{assets}/a/status", {"status": {"phase": "Pending"}})
    assert reported.body["metadata"]["generation"] == 1
    kept = await wire.merge(f"{assets}/a", {"spec": {"deletionPolicy": "Retain"}})
    assert kept.body["metadata"]["generation"] == 2


async def test_a_status_given_at_create_is_dropped(wire: Wire, assets: str) -> None:
    created = await wire.create(assets, {**media_asset("a"), "status": {"phase": "Completed"}})
    assert created.body["status"] == {"phase": "Pending"}, "the schema's default"


async def test_a_write_to_the_object_leaves_its_status(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    await wire.merge(f"{assets}/a/status", {"status": {"phase": "Pending", "attempts": 1}})
    answer = await wire.merge(f"{assets}/a", {"spec": {"priority": 1}, "status": {"phase": "Failed"}})
    assert answer.body["status"] == {"phase": "Pending", "attempts": 1}
    assert answer.body["spec"]["priority"] == 1


async def test_a_write_to_the_status_leaves_everything_else(wire: Wire, assets: str) -> None:
    created = (await wire.create(assets, media_asset("a"))).body
    body = {
        **created,
        "metadata": {**created["metadata"], "labels": {"new": "label"}},
        "spec": {**created["spec"], "priority": 9},
        "status": {"phase": "Pending"},
    }
    answer = await wire.replace(f"{assets}/a/status", body)
    assert answer.code == 200
    assert answer.body["status"] == {"phase": "Pending"}
    assert answer.body["spec"]["priority"] == 0
    assert "new" not in answer.body["metadata"].get("labels", {})


async def test_a_status_write_of_an_old_version_is_a_conflict(wire: Wire, assets: str) -> None:
    created = (await wire.create(assets, media_asset("a"))).body
    await wire.merge(f"{assets}/a/status", {"status": {"attempts": 1}})
    answer = await wire.replace(f"{assets}/a/status", {**created, "status": {"phase": "Scheduled"}})
    assert (answer.code, answer.reason) == (409, "Conflict")


async def test_a_replaced_status_loses_what_it_does_not_name(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    first = await wire.merge(f"{assets}/a/status", {"status": {"phase": "Pending", "attempts": 2}})
    answer = await wire.replace(f"{assets}/a/status", {**first.body, "status": {"phase": "Pending"}})
    assert answer.body["status"] == {"phase": "Pending"}


async def test_a_json_patch_applies_all_of_its_operations(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    status = {"phase": "Scheduled", "assignedJob": "job-1", "binding": 1}
    await wire.merge(f"{assets}/a/status", {"status": status})
    answer = await wire.operations(
        f"{assets}/a/status",
        {"op": "test", "path": "/status/assignedJob", "value": "job-1"},
        {"op": "test", "path": "/status/binding", "value": 1},
        {"op": "replace", "path": "/status/phase", "value": "Processing"},
        {"op": "add", "path": "/status/conditions", "value": [succeeded_condition("Processing")]},
        {"op": "add", "path": "/status/conditions/-", "value": {**succeeded_condition("X"), "type": "Isolated"}},
    )
    assert answer.code == 200
    assert answer.body["status"]["phase"] == "Processing"
    assert [one["type"] for one in answer.body["status"]["conditions"]] == ["Succeeded", "Isolated"]


async def test_a_json_patch_whose_test_fails_changes_nothing(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    await wire.merge(f"{assets}/a/status", {"status": {"phase": "Scheduled", "binding": 2}})
    answer = await wire.operations(
        f"{assets}/a/status",
        {"op": "replace", "path": "/status/phase", "value": "Processing"},
        {"op": "test", "path": "/status/binding", "value": 1},
    )
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert (await wire.get(f"{assets}/a")).body["status"]["phase"] == "Scheduled"


async def test_a_test_of_null_passes_on_a_missing_key(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    await wire.merge(f"{assets}/a/status", {"status": {"phase": "Pending"}})
    answer = await wire.operations(
        f"{assets}/a/status",
        {"op": "test", "path": "/status/assignedJob", "value": None},
        {"op": "add", "path": "/status/assignedJob", "value": "job-1"},
    )
    assert answer.code == 200
    assert answer.body["status"]["assignedJob"] == "job-1"


async def test_a_test_of_a_value_fails_on_a_missing_key(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    await wire.merge(f"{assets}/a/status", {"status": {"phase": "Pending"}})
    operation = {"op": "test", "path": "/status/assignedJob", "value": "job-1"}
    assert (await wire.operations(f"{assets}/a/status", operation)).code == 422


async def test_a_replace_of_a_missing_key_adds_it(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    await wire.merge(f"{assets}/a/status", {"status": {"phase": "Pending"}})
    operation = {"op": "replace", "path": "/status/attempts", "value": 3}
    answer = await wire.operations(f"{assets}/a/status", operation)
    assert answer.code == 200
    assert answer.body["status"] == {"phase": "Pending", "attempts": 3}


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "add", "path": "/status/result/width", "value": 1}, id="add below a missing parent"),
        pytest.param({"op": "remove", "path": "/spec/nothing"}, id="remove of a missing key"),
        pytest.param({"op": "test", "path": "/status/result/width", "value": None}, id="test below a missing parent"),
    ],
)
async def test_a_json_patch_that_does_not_apply_is_refused(wire: Wire, assets: str, operation: dict[str, Any]) -> None:
    await wire.create(assets, media_asset("a"))
    answer = await wire.operations(f"{assets}/a", operation)
    assert (answer.code, answer.reason) == (422, "Invalid")


async def test_a_json_patch_may_test_the_resource_version(wire: Wire, assets: str) -> None:
    created = (await wire.create(assets, media_asset("a"))).body
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": version(created)}
    raise_ = {"op": "replace", "path": "/spec/priority", "value": 1}
    assert (await wire.operations(f"{assets}/a", test, raise_)).code == 200
    assert (await wire.operations(f"{assets}/a", test, raise_)).code == 422


async def test_a_strategic_merge_patch_of_a_custom_object_is_not_supported(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    answer = await wire.ask(
        "PATCH", f"{assets}/a", {"spec": {}}, content_type="application/strategic-merge-patch+json"
    )
    assert (answer.code, answer.reason) == (415, "UnsupportedMediaType")


async def test_a_dry_run_stores_nothing(wire: Wire, assets: str) -> None:
    assert (await wire.create(assets, media_asset("a"), dryRun="All")).code == 201
    assert (await wire.get(f"{assets}/a")).code == 404


async def test_scaling_goes_through_the_scale_subresource(wire: Wire, pools: str) -> None:
    await wire.create(pools, worker_pool("p"))
    await wire.merge(f"{pools}/p/status", {"status": {"replicas": 1, "selector": "pool=p"}})
    scale = (await wire.get(f"{pools}/p/scale")).body
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 1, "selector": "pool=p"}
    scaled = await wire.merge(f"{pools}/p/scale", {"spec": {"replicas": 4}})
    assert scaled.body["spec"] == {"replicas": 4}
    assert (await wire.get(f"{pools}/p")).body["spec"]["replicas"] == 4


async def test_a_scale_of_an_old_version_is_a_conflict(wire: Wire, pools: str) -> None:
    await wire.create(pools, worker_pool("p"))
    scale = (await wire.get(f"{pools}/p/scale")).body
    await wire.merge(f"{pools}/p", {"spec": {"paused": True}})
    scale["spec"]["replicas"] = 2
    answer = await wire.replace(f"{pools}/p/scale", scale)
    assert (answer.code, answer.reason) == (409, "Conflict")


async def test_an_asset_has_no_scale(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    assert (await wire.get(f"{assets}/a/scale")).code == 404
