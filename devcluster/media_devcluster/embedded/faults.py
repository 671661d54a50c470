"""Faults on demand: what a busy, broken or unreachable API server does to its clients.

A fault is a match (verbs, resource, subresource, name) and an effect, for so many requests or for so long. It
touches requests only; the controllers behind the server go on, as they would in a real cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from media_devcluster.embedded.errors import ApiError, bad_request, internal, too_many_requests


class Effect(StrEnum):
    """What happens to a request that matches."""

    TOO_MANY_REQUESTS = "tooManyRequests"
    SERVER_ERROR = "serverError"
    LATENCY = "latency"
    CLOSE = "close"
    """The connection is closed before the request is looked at."""
    LOSE_ANSWER = "loseAnswer"
    """The request is carried out, and the connection closed instead of an answer."""
    SILENT_WATCH = "silentWatch"
    """A watch is accepted and stays open, and nothing is ever sent on it."""


@dataclass(frozen=True)
class Asked:
    """A request as faults see it."""

    verb: str
    resource: str = ""
    subresource: str = ""
    name: str = ""


@dataclass(eq=False)
class Fault:
    """One fault that is switched on."""

    effect: Effect
    verbs: frozenset[str] = frozenset()
    """get, list, watch, create, update, patch, delete, deletecollection; none means all."""
    resource: str = ""
    """Plural; empty means all."""
    subresource: str | None = None
    """Empty means the main resource only; None means all."""
    name: str = ""
    times: int | None = None
    until: float | None = None
    seconds: float = 1.0
    """Latency, or the Retry-After of tooManyRequests."""
    hits: int = 0

    def matches(self, asked: Asked) -> bool:
        """Whether it is about this request."""
        return (
            (not self.verbs or asked.verb in self.verbs)
            and (not self.resource or asked.resource == self.resource)
            and (self.subresource is None or asked.subresource == self.subresource)
            and (not self.name or asked.name == self.name)
        )

    def refusal(self) -> ApiError | None:
        """The answer it gives instead of the real one, if it gives one."""
        if self.effect is Effect.TOO_MANY_REQUESTS:
            return too_many_requests(int(self.seconds))
        if self.effect is Effect.SERVER_ERROR:
            return internal("a fault is switched on")
        return None


class Watched(Protocol):
    """An open watch."""

    asked: Asked

    def drop(self) -> None:
        """Breaks the connection."""

    def silence(self) -> None:
        """Sends nothing any more."""


@dataclass
class Faults:
    """The faults that are switched on, and the watches they may act upon."""

    clock: Callable[[], float]
    compact: Callable[[], None]
    down: bool = False
    rules: list[Fault] = field(default_factory=list)
    watches: set[Watched] = field(default_factory=set)

    def add(
        self,
        effect: Effect | str,
        *,
        verbs: tuple[str, ...] | list[str] = (),
        resource: str = "",
        subresource: str | None = None,
        name: str = "",
        times: int | None = None,
        lasting: float | None = None,
        seconds: float = 1.0,
    ) -> Fault:
        """Switches a fault on; it acts from the next request on, silence also on the watches that are open."""
        fault = Fault(
            effect=Effect(effect),
            verbs=frozenset(verbs),
            resource=resource,
            subresource=subresource,
            name=name,
            times=times,
            until=None if lasting is None else self.clock() + lasting,
            seconds=seconds,
        )
        self.rules.append(fault)
        if fault.effect is Effect.SILENT_WATCH:
            for watch in tuple(self.watches):
                if fault.matches(watch.asked):
                    watch.silence()
        return fault

    def remove(self, fault: Fault) -> None:
        """Switches one off."""
        if fault in self.rules:
            self.rules.remove(fault)

    def clear(self) -> None:
        """Switches everything off."""
        self.rules.clear()
        self.down = False

    def go_down(self) -> None:
        """Closes every connection now and from now on."""
        self.down = True
        self.drop_watches()

    def come_back(self) -> None:
        """Answers again."""
        self.down = False

    def drop_watches(self, resource: str = "") -> int:
        """Breaks open watches, of one resource or all, and says how many."""
        dropped = [watch for watch in self.watches if not resource or watch.asked.resource == resource]
        for watch in dropped:
            watch.drop()
        return len(dropped)

    def hit(self, asked: Asked) -> list[Fault]:
        """The faults that act on a request; each is used up by one."""
        now = self.clock()
        self.rules = [
            rule
            for rule in self.rules
            if (rule.until is None or rule.until > now) and (rule.times is None or rule.hits < rule.times)
        ]
        acting = [rule for rule in self.rules if rule.matches(asked)]
        for rule in acting:
            rule.hits += 1
        return acting

    def control(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carries out an order that came over HTTP and tells the state."""
        known = {"clear", "down", "compact", "dropWatches", "add"}
        if unknown := order.keys() - known:
            raise bad_request(f"unknown orders: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
        if order.get("clear"):
            self.clear()
        if "down" in order:
            self.go_down() if order["down"] else self.come_back()
        if order.get("compact"):
            self.compact()
        if "dropWatches" in order:
            dropped = order["dropWatches"]
            self.drop_watches(dropped if isinstance(dropped, str) else "")
        for rule in order.get("add", ()):
            try:
                self.add(**rule)
            except (TypeError, ValueError) as error:
                raise bad_request(f"not a fault: {error}") from error
        return self.state()

    def state(self) -> dict[str, Any]:
        """What is switched on."""
        return {
            "down": self.down,
            "watches": len(self.watches),
            "rules": [{"effect": rule.effect, "resource": rule.resource, "hits": rule.hits} for rule in self.rules],
        }
