from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_core.asset import AssetStatus, AssetType, MediaAsset, VideoBackend, VideoStatus
from media_core.reasons import Reason
from media_operator import cache
from media_operator.cache import AssetIndex, Cache
from support.build import NOW, a_status, an_asset, an_id, completed, failed, given_back, processing, scheduled


@dataclass(frozen=True)
class Thing:
    name: str
    version: int
    uid: str = "u"


class Told:
    """What the cache told of its changes."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, Thing | None, Thing | None]] = []
        self.cache: Cache[Thing] = Cache(lambda *change: self.changes.append(change))


A1, A2, A3 = Thing("a", 1), Thing("a", 2), Thing("a", 3)
OTHER = Thing("a", 9, "other")


@pytest.mark.parametrize(
    ("sights", "news", "kept"),
    [
        pytest.param([A1], [True], A1, id="the first sight is news"),
        pytest.param([A1, A2], [True, True], A2, id="a newer one takes its place"),
        pytest.param([A2, A1], [True, False], A2, id="an older one does not"),
        pytest.param([A2, A2], [True, False], A2, id="the same one is no news"),
        pytest.param([Thing("a", 9), Thing("a", 10)], [True, True], Thing("a", 10), id="versions are numbers"),
        pytest.param([A1, OTHER], [True, True], OTHER, id="another object of that name takes its place"),
        pytest.param([OTHER, A1], [True, False], OTHER, id="an object from before it does not"),
        pytest.param([A1, OTHER, A3], [True, True, False], OTHER, id="and does not come back"),
    ],
)
def test_the_newest_sight_is_kept(sights: list[Thing], news: list[bool], kept: Thing) -> None:
    told = Told()
    assert [told.cache.see(sight) for sight in sights] == news
    assert told.cache["a"] == kept
    assert [after for _, _, after in told.changes] == [sight for sight, new in zip(sights, news, strict=True) if new]


def test_a_change_is_told_with_what_was_there_before() -> None:
    told = Told()
    told.cache.see(A1)
    told.cache.see(A2)
    told.cache.lose("a", "u")
    assert told.changes == [("a", None, A1), ("a", A1, A2), ("a", A2, None)]


def test_what_is_gone_stays_gone_whatever_arrives_late() -> None:
    told = Told()
    told.cache.see(A1)
    assert told.cache.lose("a", "u")
    assert not told.cache.see(A3)
    assert not told.cache.lose("a", "u"), "that it is gone is no news"
    assert told.cache.get("a") is None
    assert "a" not in told.cache
    assert len(told.cache) == 0


def test_what_was_never_seen_stays_gone_as_well() -> None:
    told = Told()
    assert not told.cache.lose("a", "u")
    assert not told.cache.see(A1)


def test_the_end_of_an_earlier_object_does_not_touch_the_present_one() -> None:
    told = Told()
    told.cache.see(OTHER)
    assert not told.cache.lose("a", "u")
    assert told.cache["a"] == OTHER


def test_an_object_made_again_under_the_same_name_is_seen() -> None:
    told = Told()
    told.cache.see(A1)
    told.cache.lose("a", "u")
    assert told.cache.see(OTHER)


def test_a_cache_may_be_changed_while_it_is_walked() -> None:
    things: Cache[Thing] = Cache()
    for name in "abc":
        things.see(Thing(name, 1, name))
    for thing in things:
        things.lose(thing.name, thing.uid)
    assert len(things) == 0


def test_only_so_many_of_the_dead_are_remembered() -> None:
    things: Cache[Thing] = Cache()
    things.lose("a", "u")
    for number in range(cache.REMEMBERED_DEAD):
        things.lose("x", str(number))
    assert things.see(A1), "the oldest is forgotten, or memory would grow for ever"


# --- a full LIST -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "listed", "lost", "kept"),
    [
        pytest.param([A1], [A1], [], [A1], id="what is listed stays"),
        pytest.param([A1], [], ["a"], [], id="what is not listed is gone, though no event said so"),
        pytest.param([Thing("a", 6)], [], [], [Thing("a", 6)], id="what is newer than the LIST stays"),
        pytest.param([A3], [A1], [], [A3], id="an older sight in the LIST changes nothing"),
        pytest.param([A1], [OTHER], [], [OTHER], id="another object of that name takes its place"),
        pytest.param([], [A1], [], [A1], id="what is new is taken in"),
    ],
)
def test_a_full_list_makes_the_cache_true(
    known: list[Thing], listed: list[Thing], lost: list[str], kept: list[Thing]
) -> None:
    things: Cache[Thing] = Cache()
    for thing in known:
        things.see(thing)
    assert things.align(listed, 5) == lost
    assert list(things) == kept


def test_what_is_listed_but_cannot_be_read_keeps_its_last_readable_sight() -> None:
    things: Cache[Thing] = Cache()
    things.see(A1)
    assert things.align([], 5, there=["u"]) == []
    assert things.see(A2), "and is seen again once it can be read"


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Thing | None], list[int]]:
    """The true life of one name: sights, deletions (None) and makings; and an order in which they are heard."""
    life: list[Thing | None] = []
    uid = 0
    for version, gone in enumerate(draw(st.lists(st.booleans(), min_size=1, max_size=8)), start=1):
        if gone and life and life[-1] is not None:
            life.append(None)
            uid += 1
        else:
            life.append(Thing("a", version, f"u{uid}"))
    heard = draw(st.permutations(range(len(life))))
    return life, heard


@settings(max_examples=100)
@given(histories())
def test_in_whatever_order_events_come_the_end_is_the_truth(history: tuple[list[Thing | None], list[int]]) -> None:
    life, heard = history
    things: Cache[Thing] = Cache()
    uids = {}
    last = ""
    for number, sight in enumerate(life):
        last = sight.uid if sight else last
        uids[number] = last
    for number in heard:
        if (sight := life[number]) is None:
            things.lose("a", uids[number])
        else:
            things.see(sight)
    assert things.get("a") == life[-1]


# --- indexes over assets ---------------------------------------------------------------------------------------------


A, B = an_id("a"), an_id("b")


def indexed(*sights: MediaAsset | None) -> AssetIndex:
    """The index after one asset went through these."""
    index = AssetIndex()
    before: MediaAsset | None = None
    for sight in sights:
        index.changed(A, before, sight)
        before = sight
    return index


def found(index: AssetIndex) -> tuple[dict[str, set[str]], dict[str, set[str]], dict[str, int]]:
    return waiting(index), dict(index.bound), dict(index.settled_by)


def waiting(index: AssetIndex) -> dict[str, set[str]]:
    return {pool: {each.name for each in line} for pool, line in index.lines.items() if line}


@pytest.mark.parametrize(
    ("status", "waits", "bound", "settled"),
    [
        pytest.param(None, False, None, None, id="one without status is nowhere"),
        pytest.param(a_status(), True, None, None, id="one that is pending waits"),
        pytest.param(a_status(not_before=NOW), True, None, None, id="so does one that backs off"),
        pytest.param(scheduled("j"), False, "j", None, id="one that is scheduled is bound"),
        pytest.param(processing("j"), False, "j", None, id="one at work is bound"),
        pytest.param(
            given_back(Reason.DRAINING, "j"), False, "j", None, id="one given back is bound until that was heard"
        ),
        pytest.param(completed("j"), False, None, "j", id="one completed is its worker's doing"),
        pytest.param(failed(assigned_job="j"), False, None, "j", id="so is one that failed"),
        pytest.param(failed(), False, None, None, id="one refused by the operator is nobody's"),
    ],
)
def test_an_asset_is_where_its_status_puts_it(
    status: AssetStatus | None, waits: bool, bound: str | None, settled: str | None
) -> None:
    expected = (
        {"default": {A}} if waits else {},
        {bound: {A}} if bound else {},
        {settled: 1} if settled else {},
    )
    for earlier in (None, a_status(), processing("j"), processing("other"), completed("j")):
        index = indexed(an_asset(status=earlier), an_asset(status=status))
        assert found(index) == expected, "wherever it was before"
    assert found(indexed(an_asset(status=status), None)) == ({}, {}, {}), "and nowhere once it is gone"


@pytest.mark.parametrize(
    "asset",
    [
        pytest.param(an_asset(status=a_status(), deleted=NOW), id="one that is being deleted"),
        pytest.param(an_asset(status=a_status(), asset_type=AssetType.VIDEO), id="a video, which has no backend"),
    ],
)
def test_no_worker_is_sought_for(asset: MediaAsset) -> None:
    assert found(indexed(asset)) == ({}, {}, {})


def test_one_that_is_being_deleted_is_bound_until_its_worker_let_go() -> None:
    assert found(indexed(an_asset(status=processing("j"), deleted=NOW))) == ({}, {"j": {A}}, {})


def test_each_pool_has_its_own_line() -> None:
    index = AssetIndex()
    index.changed(A, None, an_asset("a", a_status(), pool="default"))
    index.changed(B, None, an_asset("b", a_status(), pool="large"))
    assert waiting(index) == {"default": {A}, "large": {B}}


def of_backend(backend: VideoBackend) -> VideoStatus:
    return VideoStatus(backend=backend)


def test_a_video_for_ffmpeg_waits_for_a_worker_of_its_pool() -> None:
    status = a_status(video=of_backend(VideoBackend.FFMPEG))
    index = indexed(an_asset(status=status, asset_type=AssetType.VIDEO))
    assert (waiting(index), index.transcoding) == ({"video": {A}}, set())


@pytest.mark.parametrize(
    ("status", "there"),
    [
        pytest.param(a_status(video=of_backend(VideoBackend.MEDIACONVERT)), True, id="waits to be submitted"),
        pytest.param(processing(video=of_backend(VideoBackend.MEDIACONVERT)), True, id="is at work"),
        pytest.param(completed(video=of_backend(VideoBackend.MEDIACONVERT)), False, id="is completed"),
        pytest.param(a_status(video=of_backend(VideoBackend.FFMPEG)), False, id="is another backend's"),
        pytest.param(a_status(), False, id="has no backend"),
        pytest.param(None, False, id="has no status"),
    ],
)
def test_a_video_is_mediaconverts_while_it(status: AssetStatus | None, there: bool) -> None:
    video = an_asset(status=status, asset_type=AssetType.VIDEO)
    assert indexed(video).transcoding == ({A} if there else set())
    assert indexed(video, None).transcoding == set()
    deleted = an_asset(status=status, asset_type=AssetType.VIDEO, deleted=NOW)
    assert indexed(deleted).transcoding == ({A} if there else set()), "its job is canceled first"
