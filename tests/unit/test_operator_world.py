from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import structlog

from media_core.asset import AssetType, MediaAsset, VideoBackend, VideoStatus
from media_core.reasons import Reason
from media_operator.adapters.cluster import Cluster, Kind
from media_operator.world import World
from support.build import (
    JOB,
    NOW,
    a_job_body,
    a_pool,
    a_pool_body,
    a_status,
    an_asset,
    an_asset_body,
    an_id,
    completed,
    failed,
    given_back,
    processing,
)

JSON = dict[str, Any]


class Listed:
    """The one method of a cluster that a LIST needs. Pages of one object each, as the API server makes them."""

    def __init__(self, version: int, *, assets: list[JSON], jobs: list[JSON], pools: list[JSON]) -> None:
        self._version = version
        self._objects = {Kind.ASSET: assets, Kind.JOB: jobs, Kind.POOL: pools}

    async def pages(self, kind: Kind) -> AsyncIterator[tuple[list[JSON], int]]:
        for number, body in enumerate(self._objects[kind] or [None]):
            yield ([body] if body else []), self._version + number


class Watched:
    """A world, and what it told to look at, to mind and to mirror."""

    def __init__(self) -> None:
        self.world = World()
        self.looked: list[str] = []
        self.minded: list[str] = []
        self.mirrored: list[tuple[MediaAsset | None, str]] = []
        self.world.look = self.looked.append
        self.world.mind = self.minded.append
        self.settled: list[str] = []
        self.world.mirror = lambda asset, name: self.mirrored.append((asset, name))
        self.world.settled = lambda asset: self.settled.append(asset.name)

    def see(self, *assets: MediaAsset) -> None:
        for asset in assets:
            self.world.take(Kind.ASSET, "MODIFIED", an_asset_body(asset))

    def forget(self) -> None:
        for told in (self.looked, self.minded, self.mirrored):
            told.clear()

    async def list(
        self,
        version: int = 100,
        *,
        assets: list[JSON] | None = None,
        jobs: list[JSON] | None = None,
        pools: list[JSON] | None = None,
    ) -> None:
        listed = Listed(version, assets=assets or [], jobs=jobs or [], pools=pools or [])
        await self.world.list_all(cast(Cluster, listed))


def test_a_change_of_an_asset_is_mirrored_looked_at_and_minded() -> None:
    watched = Watched()
    asset = an_asset("x", a_status(), pool="large")
    watched.see(asset)
    assert watched.mirrored == [(asset, an_id("x"))]
    assert watched.looked == [an_id("x")]
    assert watched.minded == ["large"]


def test_the_end_of_an_asset_is_mirrored_looked_at_and_minded() -> None:
    watched = Watched()
    asset = an_asset("x", a_status(), pool="large")
    watched.see(asset)
    watched.forget()
    watched.world.take(Kind.ASSET, "DELETED", an_asset_body(asset))
    assert watched.mirrored == [(None, an_id("x"))]
    assert (watched.looked, watched.minded) == ([an_id("x")], ["large"])
    assert an_id("x") not in watched.world.assets


def test_that_an_asset_is_settled_is_told_once_whoever_wrote_it() -> None:
    watched = Watched()
    watched.see(an_asset(status=processing(), version=1))
    assert watched.settled == []
    watched.see(an_asset(status=completed(), version=2), an_asset(status=completed(), version=3))
    assert watched.settled == [an_id("a")]


def test_an_asset_that_was_settled_before_it_was_first_seen_is_no_news() -> None:
    watched = Watched()
    watched.see(an_asset(status=failed()))
    assert watched.settled == []


def test_what_is_no_news_is_told_to_nobody() -> None:
    watched = Watched()
    watched.see(an_asset(version=7))
    watched.forget()
    watched.see(an_asset(version=7), an_asset(version=6))
    assert (watched.looked, watched.minded, watched.mirrored) == ([], [], [])


def test_the_answer_to_our_own_write_is_as_good_as_an_event() -> None:
    watched = Watched()
    watched.see(an_asset(version=7))
    watched.world.wrote(Kind.ASSET, an_asset_body(an_asset(status=a_status(), version=8)))
    watched.see(an_asset(version=7))
    assert watched.world.assets[an_id("a")].status == a_status(), "and an event that was on its way does not undo it"


def test_an_admitted_asset_is_for_the_scheduler_and_nothing_for_the_ledger() -> None:
    watched = Watched()
    watched.see(an_asset("x", pool="large", version=7))
    watched.forget()
    watched.world.admit(watched.world.assets[an_id("x")], a_status())
    assert watched.world.assets[an_id("x")].status == a_status()
    assert [each.name for each in watched.world.index.lines["large"]] == [an_id("x")]
    assert (watched.minded, watched.mirrored) == (["large"], [])


def test_an_admission_that_comes_after_news_of_the_asset_is_forgotten() -> None:
    watched = Watched()
    watched.see(an_asset("x", version=7))
    before = watched.world.assets[an_id("x")]
    watched.see(an_asset("x", processing(), version=8))
    watched.world.admit(before, a_status())
    assert watched.world.assets[an_id("x")].status == processing()


def test_an_asset_admitted_and_then_changed_by_somebody_is_as_they_left_it() -> None:
    watched = Watched()
    watched.see(an_asset("x", version=7))
    watched.world.admit(watched.world.assets[an_id("x")], a_status())
    watched.see(an_asset("x", retry=True, version=8))
    assert watched.world.assets[an_id("x")].status is None, "so that it is looked at, and admitted, again"


def test_an_echo_of_what_is_known_is_not_read() -> None:
    watched = Watched()
    watched.see(an_asset(version=7))
    with structlog.testing.capture_logs() as said:
        watched.world.take(Kind.ASSET, "MODIFIED", {"metadata": an_asset_body(an_asset(version=7))["metadata"]})
    assert said == []


def test_the_end_of_a_job_makes_everything_bound_to_it_looked_at() -> None:
    watched = Watched()
    watched.world.take(Kind.JOB, None, a_job_body(version=5, ready=1))
    watched.see(an_asset("x", processing()), an_asset("y", processing("other")))
    watched.see(an_asset("z", given_back(Reason.DRAINING)))
    watched.forget()
    condition = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    watched.world.take(Kind.JOB, "MODIFIED", a_job_body(version=6, conditions=[condition]))
    assert set(watched.looked) == {an_id("x"), an_id("z")}
    assert watched.minded == ["default"]


def test_a_job_that_is_gone_makes_everything_bound_to_it_looked_at() -> None:
    watched = Watched()
    watched.world.take(Kind.JOB, None, a_job_body(pool="video"))
    watched.see(an_asset("x", processing()))
    watched.forget()
    watched.world.take(Kind.JOB, "DELETED", a_job_body(pool="video"))
    assert (watched.looked, watched.minded) == ([an_id("x")], ["video"])
    assert JOB not in watched.world.jobs


def test_a_job_that_becomes_ready_is_the_pools_matter_alone() -> None:
    watched = Watched()
    watched.world.take(Kind.JOB, None, a_job_body(version=5))
    watched.see(an_asset("x", processing()))
    watched.forget()
    watched.world.take(Kind.JOB, "MODIFIED", a_job_body(version=6, ready=1))
    assert (watched.looked, watched.minded) == ([], ["default"])


def test_a_pool_that_changes_is_minded() -> None:
    watched = Watched()
    watched.world.take(Kind.POOL, "MODIFIED", a_pool_body(a_pool("video")))
    assert watched.minded == ["video"]
    assert watched.world.pools["video"] == a_pool("video")


@pytest.mark.parametrize(
    ("kind", "event", "body"),
    [
        pytest.param(Kind.ASSET, "MODIFIED", {}, id="nothing at all"),
        pytest.param(Kind.ASSET, "DELETED", {"metadata": {}}, id="an end of nobody"),
        pytest.param(Kind.JOB, "ADDED", {"metadata": {"name": "x"}}, id="half a Job"),
        pytest.param(Kind.POOL, "ADDED", {**a_pool_body(a_pool()), "spec": {"replicas": "many"}}, id="a strange pool"),
        pytest.param(
            Kind.ASSET,
            "ADDED",
            {**an_asset_body(an_asset()), "spec": {"assetType": "AUDIO"}},
            id="a type of a later version",
        ),
        pytest.param(
            Kind.ASSET,
            "ADDED",
            {**an_asset_body(an_asset()), "metadata": {"name": "holiday", "uid": "u", "resourceVersion": "1"}},
            id="an asset whose name is no id, and which could have no row",
        ),
        pytest.param(
            Kind.ASSET,
            "ADDED",
            {
                **an_asset_body(an_asset()),
                "metadata": {"name": an_id("a").replace("-", ""), "uid": "u", "resourceVersion": "1"},
            },
            id="an asset whose name is another's id in another form",
        ),
    ],
)
def test_what_cannot_be_read_is_left_alone_and_stops_nothing(kind: Kind, event: str, body: JSON) -> None:
    watched = Watched()
    watched.world.take(kind, event, body)
    assert (watched.looked, watched.minded, watched.mirrored) == ([], [], [])


def test_an_event_is_written_and_never_read() -> None:
    with pytest.raises(ValueError, match="never read"):
        World().read(Kind.EVENT, {})


def test_a_sight_that_cannot_be_read_leaves_the_one_before() -> None:
    watched = Watched()
    watched.see(an_asset("x"))
    watched.world.take(Kind.ASSET, "MODIFIED", {**an_asset_body(an_asset("x", version=8)), "spec": {}})
    assert watched.world.assets[an_id("x")] == an_asset("x")


async def test_nothing_is_complete_before_the_first_list() -> None:
    watched = Watched()
    watched.see(an_asset())
    assert not watched.world.complete
    await watched.list(assets=[an_asset_body(an_asset())])
    assert watched.world.complete


async def test_a_list_makes_everything_looked_at() -> None:
    """What was told before it was complete was not acted on."""
    watched = Watched()
    watched.see(an_asset("x"))
    watched.forget()
    bodies = [an_asset_body(an_asset(name)) for name in ("x", "y")]
    await watched.list(assets=bodies, pools=[a_pool_body(a_pool("video"))], jobs=[a_job_body(pool="video")])
    assert set(watched.looked) == {an_id("x"), an_id("y")}
    assert set(watched.minded) == {"default", "video"}
    assert JOB in watched.world.jobs


async def test_what_no_event_said_is_gone_is_gone_with_the_next_list() -> None:
    watched = Watched()
    await watched.list(jobs=[a_job_body()], assets=[an_asset_body(an_asset("x", processing()))])
    watched.forget()
    await watched.list(200, assets=[an_asset_body(an_asset("x", processing()))])
    assert JOB not in watched.world.jobs
    assert an_id("x") in watched.looked


async def test_the_version_of_a_list_is_that_of_its_first_page() -> None:
    watched = Watched()
    watched.see(an_asset("new", version=100))
    await watched.list(99, assets=[an_asset_body(an_asset(name)) for name in ("x", "y", "z")])
    assert an_id("new") in watched.world.assets, "it was made while the pages were read"


async def test_of_a_list_only_what_is_news_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, read = Watched(), []
    watched.see(an_asset("known"))
    watched.see(an_asset("changed"))
    changed = an_asset("changed", a_status(), version=8)

    def reading(kind: Kind, body: JSON) -> Any:
        read.append(body["metadata"]["name"])
        return World.read(watched.world, kind, body)

    monkeypatch.setattr(watched.world, "read", reading)
    await watched.list(assets=[an_asset_body(asset) for asset in (an_asset("known"), changed, an_asset("new"))])

    assert read == [an_id("changed"), an_id("new")]
    assert list(watched.world.assets) == [an_asset("known"), changed, an_asset("new")]


async def test_an_object_in_a_list_that_cannot_be_read_is_not_taken_for_gone() -> None:
    watched = Watched()
    watched.see(an_asset("x"))
    unreadable = {**an_asset_body(an_asset("x", version=8)), "spec": {}}
    await watched.list(assets=[unreadable, an_asset_body(an_asset("y"))])
    assert watched.world.assets[an_id("x")] == an_asset("x")
    assert an_id("y") in watched.world.assets
    watched.see(an_asset("x", a_status(), version=9, deleted=NOW))
    assert watched.world.assets[an_id("x")].deleting, "and is seen again once it can be read"


async def test_a_video_for_mediaconvert_is_told_of_when_it_changes_and_after_a_list() -> None:
    watched = Watched()
    told: list[str] = []
    watched.world.film = told.append
    video = VideoStatus(backend=VideoBackend.MEDIACONVERT)
    watched.see(an_asset("x", a_status(video=video), asset_type=AssetType.VIDEO), an_asset("y", a_status()))
    assert told == [an_id("x")]
    await watched.list(assets=[])
    assert told == [an_id("x")], "one that is gone is nobody's"
    await watched.list(200, assets=[an_asset_body(an_asset("z", a_status(video=video), asset_type=AssetType.VIDEO))])
    assert told == [an_id("x"), an_id("z"), an_id("z")]
