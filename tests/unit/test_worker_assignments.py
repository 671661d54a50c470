from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from media_core.asset import AssetMeta, AssetSpec, AssetStatus, AssetType, MediaAsset, Phase, Source
from media_core.reasons import Reason
from media_worker.assignments import advance
from media_worker.hand import (
    Action,
    Announce,
    Claim,
    Decode,
    DrainBegan,
    DrainOver,
    Ended,
    Event,
    Fetch,
    GiveBack,
    Hand,
    Left,
    Listed,
    Reached,
    Room,
    Seen,
    Stage,
    Stop,
)

JOB = "default-ab12-1"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
A, B, C, D = (str(UUID(int=n)) for n in range(1, 5))


def asset(
    name: str = A,
    version: int = 10,
    binding: int = 1,
    phase: Phase = Phase.SCHEDULED,
    job: str | None = JOB,
    size: int = 100,
    priority: int = 0,
    deleting: bool = False,
) -> MediaAsset:
    return MediaAsset(
        metadata=AssetMeta(name=name, resource_version=str(version), deletion_timestamp=NOW if deleting else None),
        spec=AssetSpec(
            asset_type=AssetType.IMAGE,
            source=Source(
                bucket="media", key="uploads/image/o/a.jpg", etag="e", size_bytes=size, content_type="image/jpeg"
            ),
            owner="o",
            priority=priority,
        ),
        status=AssetStatus(phase=phase, assigned_job=job, binding=binding),
    )


def after(*events: Event, room: Room | None = None) -> tuple[Hand, tuple[Action, ...]]:
    """The hand after all events, and the actions of the last one."""
    hand, actions = Hand(JOB, room or Room(1, 1, 1000)), ()
    for event in events:
        hand, actions = advance(hand, event)
    return hand, actions


def ready(name: str, binding: int = 1) -> Reached:
    return Reached(Claim(name, binding), Stage.READY)


def test_an_assigned_asset_is_fetched_and_then_decoded() -> None:
    hand, actions = after(Seen(asset()))
    assert actions == (Fetch(Claim(A, 1)),)
    hand, actions = advance(hand, ready(A))
    assert actions == (Announce(Claim(A, 1)), Decode(Claim(A, 1)))
    hand, actions = advance(hand, Reached(Claim(A, 1), Stage.UPLOADING))
    hand, actions = advance(hand, Ended(Claim(A, 1)))
    assert not hand.items


def test_one_more_than_is_decoded_is_announced_so_that_no_decoder_waits_for_the_report() -> None:
    seen = Listed((asset(A, 1), asset(B, 2), asset(C, 3)))
    room = Room(1, 2, 1000)
    hand, actions = after(seen, ready(A), ready(B), room=room)
    assert actions == (Announce(Claim(B, 1)),)
    hand, actions = advance(hand, ready(C))
    assert actions == ()
    hand, actions = advance(hand, Reached(Claim(A, 1), Stage.UPLOADING))
    assert actions == (Announce(Claim(C, 1)), Decode(Claim(B, 1)))


def test_a_worker_that_drains_gives_back_what_it_has_only_announced() -> None:
    seen = Listed((asset(A, 1), asset(B, 2), asset(C, 3)))
    hand, actions = after(seen, ready(A), ready(B), ready(C), DrainBegan(), room=Room(1, 2, 1000))
    assert actions == (Stop(Claim(B, 1), Reason.DRAINING), Stop(Claim(C, 1), Reason.DRAINING))
    hand, actions = advance(hand, Reached(Claim(A, 1), Stage.UPLOADING))
    assert actions == ()


def test_no_more_than_concurrency_and_prefetch_are_held_at_once() -> None:
    seen = Listed((asset(A, 1), asset(B, 2), asset(C, 3), asset(D, 4)))
    hand, actions = after(seen)
    assert actions == (Fetch(Claim(A, 1)), Fetch(Claim(B, 1)))
    hand, actions = advance(hand, ready(B))
    assert actions == (Announce(Claim(B, 1)), Decode(Claim(B, 1)))
    hand, actions = advance(hand, ready(A))
    assert actions == (Announce(Claim(A, 1)),)
    hand, actions = advance(hand, Reached(Claim(B, 1), Stage.UPLOADING))
    assert actions == (Decode(Claim(A, 1)), Fetch(Claim(C, 1)))


def test_a_higher_priority_goes_first_and_then_the_earlier_binding() -> None:
    _, actions = after(Listed((asset(A, 3), asset(B, 2), asset(C, 9, priority=5))), room=Room(2, 1, 1000))
    assert actions == (Fetch(Claim(C, 1)), Fetch(Claim(B, 1)), Fetch(Claim(A, 1)))


def test_originals_beyond_the_memory_budget_wait_but_one_is_always_let_in() -> None:
    hand, actions = after(Listed((asset(A, 1, size=5000), asset(B, 2, size=600))))
    assert actions == (Fetch(Claim(A, 1)),)
    hand, actions = advance(hand, ready(A))
    assert actions == (Announce(Claim(A, 1)), Decode(Claim(A, 1)))
    hand, actions = advance(hand, Reached(Claim(A, 1), Stage.UPLOADING))
    assert actions == (Fetch(Claim(B, 1)),)


def test_an_asset_that_leaves_the_watch_is_stopped_and_dropped() -> None:
    hand, actions = after(Seen(asset()), Left(A))
    assert actions == (Stop(Claim(A, 1), None),)
    assert hand.items
    hand, _ = advance(hand, Ended(Claim(A, 1)))
    assert not hand.items


def test_an_asset_that_waits_is_dropped_at_once_when_it_leaves() -> None:
    hand, actions = after(Listed((asset(A, 1), asset(B, 2), asset(C, 3))), Left(C))
    assert actions == ()
    assert Claim(C, 1) not in hand.items


def test_an_asset_bound_to_another_job_is_stopped() -> None:
    _, actions = after(Seen(asset()), Seen(asset(job="other", binding=2, version=11)))
    assert actions == (Stop(Claim(A, 1), None),)


def test_a_stale_sight_of_another_binding_changes_nothing() -> None:
    _, actions = after(Seen(asset(binding=2, version=20)), Seen(asset(job="other", binding=1, version=5)))
    assert actions == ()
    _, actions = after(Seen(asset(binding=2, version=20)), Seen(asset(binding=1, version=5)))
    assert actions == ()


def test_an_asset_bound_again_to_the_same_job_is_another_claim() -> None:
    hand, actions = after(Seen(asset()), Seen(asset(binding=2, version=12)))
    assert actions == (Stop(Claim(A, 1), None), Fetch(Claim(A, 2)))
    hand, actions = advance(hand, Ended(Claim(A, 1)))
    assert set(hand.items) == {Claim(A, 2)}


def test_a_late_echo_of_a_finished_claim_does_not_start_it_again() -> None:
    done = (Seen(asset()), ready(A), Reached(Claim(A, 1), Stage.REPORTING), Ended(Claim(A, 1)))
    hand, actions = after(*done, Seen(asset(version=11)))
    assert actions == ()
    hand, actions = advance(hand, Listed((asset(version=12, phase=Phase.COMPLETED),)))
    assert (actions, hand.idle) == ((), True)
    assert hand.ended == {A: 1}
    hand, _ = advance(hand, Listed(()))
    assert hand.ended == {}


@pytest.mark.parametrize("phase", [Phase.PROCESSING, Phase.COMPLETED, Phase.FAILED, Phase.PENDING])
def test_only_what_is_scheduled_is_begun(phase: Phase) -> None:
    hand, actions = after(Seen(asset(phase=phase)))
    assert (actions, dict(hand.items)) == ((), {})


def test_an_older_sight_does_not_replace_a_newer_one() -> None:
    hand, _ = after(Seen(asset(version=20)), Seen(asset(version=15, deleting=True)))
    assert hand.items[Claim(A, 1)].asset.version == 20


def test_deletion_stops_the_work_and_gives_back() -> None:
    deleted = Seen(asset(version=11, deleting=True))
    assert after(Seen(asset()), deleted)[1] == (Stop(Claim(A, 1), Reason.DELETED),)
    assert after(Seen(asset()), ready(A), Reached(Claim(A, 1), Stage.UPLOADING), deleted)[1] == (
        Stop(Claim(A, 1), Reason.DELETED),
    )
    assert after(Seen(asset()), ready(A), Reached(Claim(A, 1), Stage.REPORTING), deleted)[1] == ()
    assert after(Seen(asset()), deleted, Seen(asset(version=12, deleting=True)))[1] == ()


def test_deletion_gives_back_at_once_what_has_not_begun() -> None:
    assert after(deletion := Seen(asset(deleting=True)))[1] == (GiveBack(Claim(A, 1), Reason.DELETED),)
    assert after(deletion, deletion)[1] == ()
    waiting = Listed((asset(A, 1), asset(B, 2), asset(C, 3)))
    assert after(waiting, Seen(asset(C, 4, deleting=True)))[1] == (GiveBack(Claim(C, 1), Reason.DELETED),)


def test_draining_gives_back_what_is_not_begun_and_lets_the_rest_finish() -> None:
    seen = Listed((asset(A, 1), asset(B, 2), asset(C, 3)))
    hand, actions = after(seen, ready(A), DrainBegan())
    assert actions == (Stop(Claim(B, 1), Reason.DRAINING), GiveBack(Claim(C, 1), Reason.DRAINING))
    hand, actions = advance(hand, Seen(asset(D, 9)))
    assert actions == (GiveBack(Claim(D, 1), Reason.DRAINING),)
    hand, actions = advance(hand, DrainOver())
    assert actions == (Stop(Claim(A, 1), Reason.DRAINING),)


def test_a_step_that_ends_after_the_stop_does_not_revive_the_claim() -> None:
    hand, actions = after(Seen(asset()), Left(A), ready(A))
    assert actions == ()
    assert hand.items[Claim(A, 1)].stage is Stage.LEAVING
    hand, _ = advance(hand, Reached(Claim(A, 1), Stage.REPORTING))
    assert hand.items[Claim(A, 1)].stage is Stage.REPORTING


def test_what_a_new_list_lacks_has_left() -> None:
    _, actions = after(Listed((asset(A, 1), asset(B, 2))), Listed((asset(B, 2),)))
    assert actions == (Stop(Claim(A, 1), None),)


def test_a_worker_is_not_idle_before_its_first_list() -> None:
    assert not after()[0].idle
    assert after(Listed(()))[0].idle
    assert not after(Listed((asset(),)))[0].idle
