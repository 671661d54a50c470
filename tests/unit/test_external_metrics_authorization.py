"""Who may read: asked once in ten seconds, never waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from media_operator.external_metrics.authorization import (
    REMEMBERED,
    REMEMBERED_SECONDS,
    Access,
    Authorization,
    NoVerdict,
    Verdict,
)
from media_operator.external_metrics.identity import User

READ = Access("external.metrics.k8s.io", "v1beta1", "media_backlog_seconds", "media")
HPA = User("system:serviceaccount:kube-system:horizontal-pod-autoscaler")
ADA = User("ada", groups=("system:authenticated",))


class Reviewer:
    """Lets the HPA in and nobody else, and counts how often it is asked."""

    def __init__(self, trouble: Callable[[], object] = lambda: None) -> None:
        self.asked: list[tuple[User, Access]] = []
        self.trouble = trouble

    async def review(self, user: User, access: Access) -> Verdict:
        self.asked.append((user, access))
        self.trouble()
        return Verdict(user == HPA, "" if user == HPA else "no RBAC policy matched")


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_the_answer_is_the_reviewers_and_the_verb_is_list() -> None:
    reviewer = Reviewer()
    authorization = Authorization(reviewer, Time())
    assert (await authorization.verdict(HPA, READ)).allowed
    assert await authorization.verdict(ADA, READ) == Verdict(False, "no RBAC policy matched")
    assert [access.verb for _, access in reviewer.asked] == ["list", "list"]


async def test_an_answer_is_remembered_for_ten_seconds_for_that_user_and_that_access() -> None:
    reviewer, time = Reviewer(), Time()
    authorization = Authorization(reviewer, time)
    for _ in range(3):
        await authorization.verdict(HPA, READ)
        await authorization.verdict(ADA, READ)
    assert len(reviewer.asked) == 2
    await authorization.verdict(User(HPA.name, groups=("more",)), READ)
    await authorization.verdict(HPA, Access(READ.group, READ.version, READ.resource, "other"))
    assert len(reviewer.asked) == 4
    time.now += REMEMBERED_SECONDS
    await authorization.verdict(HPA, READ)
    assert len(reviewer.asked) == 5


async def test_the_api_servers_own_group_is_not_asked_about() -> None:
    reviewer = Reviewer()
    assert (await Authorization(reviewer, Time()).verdict(User("x", groups=("system:masters",)), READ)).allowed
    assert reviewer.asked == []


async def test_a_review_that_fails_is_no_verdict_and_is_not_remembered() -> None:
    def refuse() -> None:
        raise NoVerdict("500")

    reviewer = Reviewer(refuse)
    authorization = Authorization(reviewer, Time())
    for _ in range(2):
        with pytest.raises(NoVerdict):
            await authorization.verdict(HPA, READ)
    assert len(reviewer.asked) == 2


async def test_a_review_without_an_answer_ends_at_its_deadline() -> None:
    class Silent:
        async def review(self, user: User, access: Access) -> Verdict:
            await asyncio.Event().wait()
            raise AssertionError

    with pytest.raises(NoVerdict, match=r"no answer within 0\.05 s"):
        await Authorization(Silent(), Time(), review_seconds=0.05).verdict(HPA, READ)


async def test_however_many_users_ask_no_more_than_so_many_are_remembered() -> None:
    reviewer, time = Reviewer(), Time()
    authorization = Authorization(reviewer, time)
    for number in range(REMEMBERED + 50):
        await authorization.verdict(User(f"user-{number}"), READ)
    asked = len(reviewer.asked)
    await authorization.verdict(User("user-0"), READ)
    assert len(reviewer.asked) == asked, "an early one is still remembered"
    await authorization.verdict(User(f"user-{REMEMBERED + 49}"), READ)
    assert len(reviewer.asked) == asked + 1, "a late one never was"
    time.now += REMEMBERED_SECONDS
    await authorization.verdict(HPA, READ)
    await authorization.verdict(HPA, READ)
    assert len(reviewer.asked) == asked + 2, "there is room again"
