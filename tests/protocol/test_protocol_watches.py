"""Watches: where they start, what they send, how they end."""

from __future__ import annotations

import json

import pytest

from support.apiobjects import media_asset
from support.wire import Wire


async def listed_version(wire: Wire, path: str) -> str:
    return str((await wire.get(path)).body["metadata"]["resourceVersion"])


@pytest.mark.parametrize("start", [{}, {"resourceVersion": "0"}], ids=["no version", "version 0"])
async def test_a_watch_without_a_version_begins_with_what_is_there(
    wire: Wire, assets: str, start: dict[str, str]
) -> None:
    await wire.create(assets, media_asset("a"))
    await wire.create(assets, media_asset("b"))
    async with wire.watch(assets, **start) as stream:
        assert sorted(await stream.take(2)) == [("ADDED", "a"), ("ADDED", "b")]
        await wire.create(assets, media_asset("c"))
        assert await stream.take(1) == [("ADDED", "c")]


async def test_a_watch_from_a_version_sends_what_came_after_it(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("old"))
    version = await listed_version(wire, assets)
    await wire.create(assets, media_asset("a"))
    await wire.merge(f"{assets}/a", {"spec": {"priority": 1}})
    await wire.delete(f"{assets}/a")
    async with wire.watch(assets, resourceVersion=version) as stream:
        assert await stream.take(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_versions_in_a_watch_rise(wire: Wire, assets: str) -> None:
    version = await listed_version(wire, assets)
    async with wire.watch(assets, resourceVersion=version) as stream:
        await wire.create(assets, media_asset("a"))
        await wire.merge(f"{assets}/a", {"spec": {"priority": 1}})
        await wire.delete(f"{assets}/a")
        seen = [int(version)]
        for _ in range(3):
            event = await stream.next()
            assert event is not None
            seen.append(int(event["object"]["metadata"]["resourceVersion"]))
    assert seen == sorted(set(seen))


async def test_an_object_that_enters_and_leaves_a_selection_is_added_and_deleted(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    version = await listed_version(wire, assets)
    selector = "status.assignedJob=job-1"
    async with wire.watch(assets, resourceVersion=version, fieldSelector=selector) as stream:
        for job, phase in (("job-1", "Scheduled"), ("job-1", "Processing"), ("job-2", "Scheduled")):
            await wire.merge(f"{assets}/a/status", {"status": {"assignedJob": job, "phase": phase}})
        await wire.merge(f"{assets}/a/status", {"status": {"assignedJob": "job-1"}})
        events = [await stream.next() for _ in range(4)]
    assert [event["type"] for event in events if event] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]
    left = events[2]
    assert left is not None
    assert left["object"]["status"] == {"assignedJob": "job-1", "phase": "Processing"}


async def test_a_label_selected_watch_sees_only_its_own(wire: Wire, assets: str) -> None:
    version = await listed_version(wire, assets)
    async with wire.watch(assets, resourceVersion=version, labelSelector="mine=yes") as stream:
        await wire.create(assets, media_asset("theirs"))
        await wire.create(assets, media_asset("ours", labels={"mine": "yes"}))
        assert await stream.take(1) == [("ADDED", "ours")]


async def test_a_watch_of_one_namespace_does_not_see_another(wire: Wire, assets: str) -> None:
    version = await listed_version(wire, assets)
    async with wire.watch(assets, resourceVersion=version) as stream:
        other = "/apis/media.docfliq.com/v1alpha1/namespaces/default/mediaassets"
        assert (await wire.create(other, media_asset("elsewhere"))).code == 201
        await wire.delete(f"{other}/elsewhere")
        await wire.create(assets, media_asset("here"))
        assert await stream.take(1) == [("ADDED", "here")]


async def test_a_version_that_is_too_old_ends_in_an_expired_event(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    async with wire.watch(assets, resourceVersion="1") as stream:
        event = await stream.next()
        assert event is not None
        assert event["type"] == "ERROR"
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_a_watch_ends_when_its_time_is_up(wire: Wire, assets: str) -> None:
    async with wire.watch(assets, timeoutSeconds="1") as stream:
        assert await stream.next(seconds=10) is None


async def test_initial_events_end_with_a_bookmark_when_asked_for(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    async with wire.watch(
        assets,
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
    ) as stream:
        assert await stream.take(1) == [("ADDED", "a")]
        end = await stream.next()
        assert end is not None
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_an_unsupported_field_refuses_the_watch(wire: Wire, assets: str) -> None:
    async with wire.watch(assets, fieldSelector="spec.owner=x") as stream:
        assert stream.code == 400


async def test_a_watch_in_table_form_names_its_columns_once(wire: Wire, assets: str) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    version = await listed_version(wire, assets)
    async with wire.watch(assets, resourceVersion=version, accept=accept) as stream:
        await wire.create(assets, media_asset("a"))
        await wire.merge(f"{assets}/a/status", {"status": {"phase": "Scheduled"}})
        first, second = await stream.next(), await stream.next()
    assert first is not None
    assert second is not None
    assert first["object"]["columnDefinitions"]
    assert not second["object"].get("columnDefinitions")
    assert second["object"]["rows"][0]["cells"][2] == "Scheduled"


async def test_many_writes_arrive_complete_and_in_order(wire: Wire, assets: str) -> None:
    await wire.create(assets, media_asset("a"))
    version = await listed_version(wire, assets)
    async with wire.watch(assets, resourceVersion=version) as stream:
        for number in range(1, 101):
            await wire.merge(f"{assets}/a", {"spec": {"priority": number}})
        seen = []
        for _ in range(100):
            event = await stream.next()
            assert event is not None, json.dumps(seen)
            seen.append(event["object"]["spec"]["priority"])
    assert seen == list(range(1, 101))
