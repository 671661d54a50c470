"""Defaulting, pruning and validation by the schema of a CRD, and the rules of metadata."""

from __future__ import annotations

from typing import Any

import pytest

from support.apiobjects import config_map, media_asset, succeeded_condition, worker_pool
from support.wire import Wire


async def test_defaults_are_filled_in_at_every_depth(wire: Wire, pools: str) -> None:
    spec = (await wire.create(pools, worker_pool("p", attempts={"limit": 5}))).body["spec"]
    assert spec["replicas"] == 1
    assert spec["attempts"] == {"limit": 5, "backoffSeconds": 10}
    assert [one["name"] for one in spec["renditions"]] == ["thumbnail", "medium", "large"]


async def test_null_where_there_is_a_default_becomes_the_default(wire: Wire, assets: str) -> None:
    created = await wire.create(assets, media_asset("a", priority=None))
    assert created.body["spec"]["priority"] == 0


async def test_null_where_there_is_no_default_counts_as_absent(wire: Wire, assets: str) -> None:
    body = media_asset("a")
    body["spec"]["source"]["versionId"] = None
    created = await wire.create(assets, body)
    assert created.code == 201
    assert "versionId" not in created.body["spec"]["source"]


async def test_unknown_fields_are_pruned_with_a_warning(wire: Wire, assets: str) -> None:
    body = media_asset("a", surprise=1)
    body["spec"]["source"]["inner"] = "x"
    created = await wire.create(assets, body)
    assert created.code == 201
    assert "surprise" not in created.body["spec"]
    assert "inner" not in created.body["spec"]["source"]
    assert 'unknown field \\"spec.' in created.headers["Warning"]


async def test_unknown_fields_are_refused_when_validation_is_strict(wire: Wire, assets: str) -> None:
    answer = await wire.create(assets, media_asset("a", surprise=1), fieldValidation="Strict")
    assert (answer.code, answer.reason) == (400, "BadRequest")
    assert 'unknown field "spec.surprise"' in answer.body["message"]


async def test_fields_of_an_open_object_are_kept(wire: Wire, pools: str) -> None:
    affinity = {"nodeAffinity": {"anything": [1, {"goes": True}]}}
    created = await wire.create(pools, worker_pool("p", template={"affinity": affinity}))
    assert created.body["spec"]["template"]["affinity"] == affinity


async def test_an_int_or_string_takes_both(wire: Wire, pools: str) -> None:
    resources = {"worker": {"limits": {"cpu": 2, "memory": "1Gi"}}}
    created = await wire.create(pools, worker_pool("p", template={"resources": resources}))
    assert created.body["spec"]["template"]["resources"] == resources


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        pytest.param({"assetType": "AUDIO"}, "spec.assetType", "FieldValueNotSupported", id="not in the enum"),
        pytest.param({"priority": 2000}, "spec.priority", "FieldValueInvalid", id="above the maximum"),
        pytest.param({"priority": "1"}, "spec.priority", "FieldValueTypeInvalid", id="of another type"),
        pytest.param({"pool": "Not Allowed"}, "spec.pool", "FieldValueInvalid", id="against the pattern"),
        pytest.param({"owner": "x" * 300}, "spec.owner", "FieldValueTooLong", id="too long"),
        pytest.param({"owner": ""}, "spec.owner", "FieldValueInvalid", id="too short"),
    ],
)
async def test_an_invalid_value_is_refused_with_its_field_and_reason(
    wire: Wire, assets: str, change: dict[str, Any], field: str, reason: str
) -> None:
    answer = await wire.create(assets, media_asset("a", **change))
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert answer.causes[field] == reason
    assert field in answer.body["message"]


async def test_a_missing_field_is_refused_as_required(wire: Wire, assets: str) -> None:
    body = media_asset("a")
    del body["spec"]["owner"]
    answer = await wire.create(assets, body)
    assert answer.code == 422
    assert answer.causes["spec.owner"] == "FieldValueRequired"


async def test_every_wrong_field_is_named(wire: Wire, assets: str) -> None:
    answer = await wire.create(assets, media_asset("a", assetType="AUDIO", priority=2000))
    assert {"spec.assetType", "spec.priority"} <= answer.causes.keys()


async def test_a_status_is_validated_too(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    answer = await wire.merge(f"{assets}/a/status", {"status": {"phase": "Unheard"}})
    assert answer.code == 422
    assert answer.causes["status.phase"] == "FieldValueNotSupported"


async def test_a_time_must_be_a_time(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    answer = await wire.merge(f"{assets}/a/status", {"status": {"startTime": "yesterday"}})
    assert answer.code == 422
    assert "status.startTime" in answer.causes


async def test_two_conditions_of_one_type_are_refused(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    conditions = [succeeded_condition("One"), succeeded_condition("Two")]
    answer = await wire.merge(f"{assets}/a/status", {"status": {"conditions": conditions}})
    assert answer.code == 422
    assert answer.causes["status.conditions[1]"] == "FieldValueDuplicate"


async def test_a_scale_beyond_the_maximum_is_refused(wire: Wire, pools: str) -> None:
    await wire.create(pools, worker_pool("p"))
    answer = await wire.merge(f"{pools}/p/scale", {"spec": {"replicas": 5000}})
    assert answer.code == 422
    assert (await wire.get(f"{pools}/p")).body["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        pytest.param({"name": "Not_A_Name"}, "metadata.name", id="a name with capitals"),
        pytest.param({"name": "a", "labels": {"k": "not a value"}}, "metadata.labels", id="a label with blanks"),
        pytest.param({"name": "a", "labels": {"k": "x" * 64}}, "metadata.labels", id="a label that is too long"),
        pytest.param({"name": "a", "finalizers": ["not valid!"]}, "metadata.finalizers", id="an odd finalizer"),
    ],
)
async def test_metadata_that_breaks_the_rules_is_refused(
    wire: Wire, assets: str, metadata: dict[str, Any], field: str
) -> None:
    answer = await wire.create(assets, {**media_asset("a"), "metadata": metadata})
    assert answer.code == 422
    assert field in answer.causes


async def test_a_body_that_is_not_json_is_a_bad_request(wire: Wire, assets: str) -> None:
    answer = await wire.ask("POST", assets, b"{not json")
    assert (answer.code, answer.reason) == (400, "BadRequest")


async def test_an_object_of_another_kind_is_refused(wire: Wire, assets: str, config_maps: str) -> None:
    custom = await wire.create(assets, worker_pool("a"))
    assert custom.code == 422
    assert custom.causes == {"kind": "FieldValueInvalid"}
    built_in = await wire.create(config_maps, {**config_map("a"), "kind": "Secret"})
    assert (built_in.code, built_in.reason) == (400, "BadRequest")


async def test_a_custom_object_must_say_what_it_is(wire: Wire, assets: str) -> None:
    body = media_asset("a")
    del body["apiVersion"]
    assert (await wire.create(assets, body)).code == 400
