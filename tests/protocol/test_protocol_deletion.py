"""Deleting: finalizers, preconditions, collections."""

from __future__ import annotations

from support.apiobjects import media_asset
from support.wire import Wire

FINALIZER = "media.docfliq.com/purge"


def held(name: str) -> dict:
    body = media_asset(name)
    body["metadata"]["finalizers"] = [FINALIZER]
    return body


async def test_an_object_that_nothing_holds_is_gone_at_once(wire: Wire, assets: str) -> None:
    created = (await wire.create(assets, media_asset("a"))).body
    answer = await wire.delete(f"{assets}/a")
    assert answer.code == 200
    assert answer.body["status"] == "Success"
    assert answer.body["details"]["uid"] == created["metadata"]["uid"]
    assert (await wire.get(f"{assets}/a")).code == 404


async def test_a_finalizer_holds_an_object_until_it_is_removed(wire: Wire, assets: str) -> None:
    await wire.create(assets, held("a"))
    deleted = (await wire.delete(f"{assets}/a")).body
    assert deleted["metadata"]["deletionTimestamp"]
    assert deleted["metadata"]["generation"] == 2
    assert (await wire.get(f"{assets}/a")).code == 200
    released = await wire.merge(f"{assets}/a", {"metadata": {"finalizers": None}})
    assert released.code == 200
    assert (await wire.get(f"{assets}/a")).code == 404


async def test_an_object_that_waits_for_its_end_can_still_be_written(wire: Wire, assets: str) -> None:
    await wire.create(assets, held("a"))
    await wire.delete(f"{assets}/a")
    answer = await wire.merge(f"{assets}/a/status", {"status": {"phase": "Pending"}})
    assert answer.body["status"] == {"phase": "Pending"}
    assert (await wire.get(f"{assets}/a")).code == 200


async def test_a_second_delete_changes_nothing(wire: Wire, assets: str) -> None:
    await wire.create(assets, held("a"))
    first = (await wire.delete(f"{assets}/a")).body
    second = (await wire.delete(f"{assets}/a")).body
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_no_finalizer_can_be_added_to_an_object_that_is_being_deleted(wire: Wire, assets: str) -> None:
    await wire.create(assets, held("a"))
    await wire.delete(f"{assets}/a")
    answer = await wire.merge(f"{assets}/a", {"metadata": {"finalizers": [FINALIZER, "example.com/more"]}})
    assert (answer.code, answer.reason) == (422, "Invalid")
    assert "metadata.finalizers" in answer.causes


async def test_a_watcher_sees_the_mark_and_then_the_end(wire: Wire, assets: str) -> None:
    await wire.create(assets, held("a"))
    version = (await wire.get(assets)).body["metadata"]["resourceVersion"]
    async with wire.watch(assets, resourceVersion=version) as stream:
        await wire.delete(f"{assets}/a")
        await wire.merge(f"{assets}/a", {"metadata": {"finalizers": None}})
        marked, gone = await stream.next(), await stream.next()
    assert marked is not None
    assert gone is not None
    assert (marked["type"], gone["type"]) == ("MODIFIED", "DELETED")
    assert marked["object"]["metadata"]["deletionTimestamp"]


async def test_a_delete_of_another_uid_is_a_conflict(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    options = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    answer = await wire.delete(f"{assets}/a", options)
    assert (answer.code, answer.reason) == (409, "Conflict")
    assert (await wire.get(f"{assets}/a")).code == 200


async def test_a_delete_of_an_old_version_is_a_conflict(wire: Wire, assets: str) -> None:
    created = (await wire.create(assets, media_asset("a"))).body["metadata"]
    await wire.merge(f"{assets}/a", {"spec": {"priority": 1}})
    options = {"preconditions": {"uid": created["uid"], "resourceVersion": created["resourceVersion"]}}
    assert (await wire.delete(f"{assets}/a", options)).code == 409
    current = (await wire.get(f"{assets}/a")).body["metadata"]
    options["preconditions"]["resourceVersion"] = current["resourceVersion"]
    assert (await wire.delete(f"{assets}/a", options)).code == 200


async def test_a_collection_is_deleted_by_selector(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a", labels={"old": "yes"}))
    await wire.create(assets, media_asset("b"))
    assert (await wire.delete(assets, labelSelector="old=yes")).code == 200
    left = (await wire.get(assets)).body["items"]
    assert [one["metadata"]["name"] for one in left] == ["b"]


async def test_a_name_can_be_used_again_and_is_another_object(wire: Wire, assets: str) -> None:
    first = (await wire.create(assets, media_asset("a"))).body["metadata"]["uid"]
    await wire.delete(f"{assets}/a")
    second = (await wire.create(assets, media_asset("a"))).body["metadata"]["uid"]
    assert first != second


async def test_a_write_that_names_the_uid_of_an_earlier_object_is_a_conflict(wire: Wire, assets: str) -> None:
    first = (await wire.create(assets, media_asset("a"))).body
    await wire.delete(f"{assets}/a")
    await wire.create(assets, media_asset("a"))
    assert (await wire.replace(f"{assets}/a", first)).code == 409


async def test_a_job_deleted_without_a_policy_first_lets_go_of_its_pods(wire: Wire, namespace: str) -> None:
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    container = {"name": "main", "image": "unpullable.invalid/none", "command": ["true"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    created = await wire.create(path, {"metadata": {"name": "job"}, "spec": {"template": template}})
    assert created.code == 201, created.body
    deleted = (await wire.delete(f"{path}/job")).body
    assert deleted["metadata"]["finalizers"] == ["orphan"]


async def test_an_object_deleted_in_the_foreground_waits_for_its_dependents(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    deleted = (await wire.delete(f"{assets}/a", {"propagationPolicy": "Foreground"})).body
    assert deleted["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert deleted["metadata"]["deletionTimestamp"]
