"""What follows from each thing that happens to a worker: a pure model.

Events go in (a sight of an asset, a finished step, the order to drain), actions come out (fetch, decode, stop, give
back). Nothing is awaited here: `worker` feeds the events in and carries the actions out, so that every race between
the watch, the work and the end of the process is a row in a table of tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from media_core.asset import MediaAsset, Phase
from media_core.reasons import Reason
from media_worker.hand import (
    HOLDS_ORIGINAL,
    NOT_DECODED,
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
    Item,
    Left,
    Listed,
    Reached,
    Seen,
    Stage,
    Stop,
)

Step = tuple[Hand, tuple[Action, ...]]


def advance(hand: Hand, event: Event) -> Step:
    """What is in hand after the event, and what is to be done because of it."""
    after, actions = _react(hand, event)
    filled, begun = _fill(after)
    return filled, (*actions, *begun)


def _react(hand: Hand, event: Event) -> Step:
    match event:
        case Seen(asset):
            return _seen(hand, asset)
        case Left(asset_id):
            return _left(hand, asset_id)
        case Listed(assets):
            return _listed(hand, assets)
        case Reached(claim, stage):
            return _reached(hand, claim, stage), ()
        case Ended(claim):
            return hand.without(claim), ()
        case DrainBegan():
            return _stop_all(replace(hand, draining=True), NOT_DECODED)
        case DrainOver():
            return _stop_all(replace(hand, draining=True), NOT_DECODED | {Stage.DECODING, Stage.UPLOADING})
        case _:
            assert_never(event)


def _seen(hand: Hand, asset: MediaAsset) -> Step:
    status = asset.status
    if status is None or status.assigned_job != hand.job:
        return _left(hand, asset.name) if asset.version >= _version(hand, asset.name) else (hand, ())
    claim = Claim(asset.name, status.binding)
    if any(claim.binding < other.binding for other in hand.items if other.asset_id == asset.name):
        return hand, ()
    hand, revoked = _revoke(hand, [c for c in hand.items if c.asset_id == asset.name and c != claim])
    held = hand.items.get(claim)
    if held is None:
        hand, actions = _first_sight(hand, claim, asset)
        return hand, (*revoked, *actions)
    if asset.version < held.asset.version:
        return hand, tuple(revoked)
    hand = hand.with_item(replace(held, asset=asset))
    if asset.deleting:
        hand, actions = _stop(hand, claim, Reason.DELETED)
        return hand, (*revoked, *actions)
    return hand, tuple(revoked)


def _version(hand: Hand, asset_id: str) -> int:
    return max((item.asset.version for claim, item in hand.items.items() if claim.asset_id == asset_id), default=0)


def _first_sight(hand: Hand, claim: Claim, asset: MediaAsset) -> Step:
    """Only what is Scheduled is begun; any other phase is an echo of our own writes, or an earlier pod's work."""
    status = asset.status
    if status is None or claim.binding <= hand.ended.get(claim.asset_id, -1):
        return hand, ()
    if status.phase.settled or status.given_back:
        return hand, ()
    item = Item(claim, asset, bound_at=asset.version)
    if asset.deleting:
        return hand.with_item(replace(item, stage=Stage.REPORTING)), (GiveBack(claim, Reason.DELETED),)
    if status.phase is not Phase.SCHEDULED:
        return hand, ()
    if hand.draining:
        return hand.with_item(replace(item, stage=Stage.REPORTING)), (GiveBack(claim, Reason.DRAINING),)
    return hand.with_item(item), ()


def _left(hand: Hand, asset_id: str) -> Step:
    hand, revoked = _revoke(hand, [claim for claim in hand.items if claim.asset_id == asset_id])
    ended = {name: binding for name, binding in hand.ended.items() if name != asset_id}
    return replace(hand, ended=ended), tuple(revoked)


def _revoke(hand: Hand, claims: list[Claim]) -> tuple[Hand, list[Action]]:
    """Drop claims that are not ours any more: no report of them could get through the fence."""
    actions: list[Action] = []
    for claim in claims:
        if hand.items[claim].stage is Stage.WAITING:
            hand = hand.without(claim)
        else:
            hand = hand.at(claim, Stage.LEAVING)
            actions.append(Stop(claim, None))
    return hand, actions


def _listed(hand: Hand, assets: tuple[MediaAsset, ...]) -> Step:
    names = {asset.name for asset in assets}
    ended = {name: binding for name, binding in hand.ended.items() if name in names}
    hand = replace(hand, ended=ended, synced=True)
    actions: list[Action] = []
    for asset_id in sorted({claim.asset_id for claim in hand.items} - names):
        hand, more = _left(hand, asset_id)
        actions += more
    for asset in sorted(assets, key=lambda asset: asset.version):
        hand, more = _seen(hand, asset)
        actions += more
    return hand, tuple(actions)


def _reached(hand: Hand, claim: Claim, stage: Stage) -> Hand:
    """A step that ends after the claim was stopped changes nothing, unless it is the last."""
    item = hand.items[claim]
    if item.stage is Stage.LEAVING and stage is not Stage.REPORTING:
        return hand
    return hand.at(claim, stage)


def _stop_all(hand: Hand, stages: frozenset[Stage]) -> Step:
    actions: list[Action] = []
    for item in hand.in_turn(*stages):
        hand, more = _stop(hand, item.claim, Reason.DRAINING)
        actions += more
    return hand, tuple(actions)


def _stop(hand: Hand, claim: Claim, reason: Reason) -> Step:
    """Give a claim back as soon as nothing of it runs. What is on its last report, or stopped already, is left."""
    match hand.items[claim].stage:
        case Stage.LEAVING | Stage.REPORTING:
            return hand, ()
        case Stage.WAITING:
            return hand.at(claim, Stage.REPORTING), (GiveBack(claim, reason),)
        case Stage.FETCHING | Stage.READY | Stage.ANNOUNCED | Stage.DECODING | Stage.UPLOADING:
            return hand.at(claim, Stage.LEAVING), (Stop(claim, reason),)
        case other:
            assert_never(other)


def _fill(hand: Hand) -> Step:
    """Announce and decode what is ready as decoders come free, and fetch ahead while there is room and memory."""
    if hand.draining:
        return hand, ()
    actions: list[Action] = []
    for claim in _to_announce(hand):
        hand = hand.at(claim, Stage.ANNOUNCED)
        actions.append(Announce(claim))
    for claim in _to_decode(hand):
        hand = hand.at(claim, Stage.DECODING)
        actions.append(Decode(claim))
    for claim in _to_fetch(hand):
        hand = hand.at(claim, Stage.FETCHING)
        actions.append(Fetch(claim))
    return hand, tuple(actions)


def _to_announce(hand: Hand) -> list[Claim]:
    begun = len(hand.in_turn(Stage.ANNOUNCED, Stage.DECODING))
    return [item.claim for item in hand.in_turn(Stage.READY)[: hand.room.concurrency + hand.room.announced - begun]]


def _to_decode(hand: Hand) -> list[Claim]:
    free = hand.room.concurrency - len(hand.in_turn(Stage.DECODING))
    return [item.claim for item in hand.in_turn(Stage.ANNOUNCED)[:free]]


def _to_fetch(hand: Hand) -> Iterator[Claim]:
    holding = hand.in_turn(*HOLDS_ORIGINAL)
    count, total = len(holding), sum(item.size for item in holding)
    for item in hand.in_turn(Stage.WAITING):
        if count >= hand.room.concurrency + hand.room.prefetch:
            return
        if count and total + item.size > hand.room.original_bytes:
            return
        count, total = count + 1, total + item.size
        yield item.claim
