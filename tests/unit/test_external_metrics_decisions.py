"""What is answered for a pool: the selector that names it, the age of its number, and the JSON that leaves."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from media_operator.external_metrics.documents import RESOURCES, Refusal, Value, status, value_list
from media_operator.external_metrics.pools import reading
from media_operator.external_metrics.selector import pool_named
from media_operator.external_metrics.values import Reading, Sight, answer, fresh
from support.build import NOW, ago


@pytest.mark.parametrize(
    "selector",
    [
        "pool=default",
        "pool==default",
        " pool = default ",
        "pool in (default)",
        "pool in ( default )",
        "pool  in(default)",
    ],
)
def test_a_selector_that_names_one_pool_is_understood(selector: str) -> None:
    assert pool_named(selector) == "default"


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "pool",
        "pool!=default",
        "pool in (a,b)",
        "pool notin (a)",
        "pool=a,pool=b",
        "queue=default",
        "pool=",
        "pool=Default",
        "poolin(default)",
        "pool=" + "a" * 600,
        "pool=ä",
    ],
)
def test_a_selector_that_names_none_or_several_is_a_bad_request(selector: str) -> None:
    refusal = pool_named(selector)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.reason) == (400, "BadRequest")


POOLS = {
    "default": Reading(571, ago(5)),
    "edge": Reading(3, ago(60)),
    "late": Reading(9, ago(61)),
    "early": Reading(9, ago(-61)),
    "young": Reading(0, None),
}


@pytest.mark.parametrize(
    ("told", "sight", "pool", "expected"),
    [
        ("a number of now is given", Sight(POOLS, ago(1)), "default", Value("default", 571, ago(5))),
        ("a number of a minute is given", Sight(POOLS, ago(1)), "edge", Value("edge", 3, ago(60))),
        ("one older than that is not", Sight(POOLS, ago(1)), "late", 503),
        ("nor one of the future, which would never age", Sight(POOLS, ago(1)), "early", 503),
        ("nor one the operator has not written", Sight(POOLS, ago(1)), "young", 503),
        ("a pool that is not there is not found", Sight(POOLS, ago(1)), "other", 404),
        ("before the first LIST nothing is known, not even that", Sight(), "other", 503),
        ("after a minute without the API server neither", Sight(POOLS, ago(61)), "default", 503),
        ("a pool that came since may be there", Sight(POOLS, ago(61)), "other", 503),
    ],
)
def test_a_backlog_is_given_while_it_is_true(told: str, sight: Sight, pool: str, expected: Value | int) -> None:
    found = answer(sight, pool, NOW)
    assert (found.code if isinstance(found, Refusal) else found) == expected, told


def test_of_all_backlogs_the_fresh_ones_are_shown() -> None:
    assert [value.pool for value in fresh(Sight(POOLS, NOW), NOW)] == ["default", "edge"]


def test_what_is_wrong_with_a_number_is_said_in_seconds() -> None:
    found = answer(Sight({"p": Reading(1, ago(95))}, NOW), "p", NOW)
    assert isinstance(found, Refusal)
    assert found.message == "The backlog of pool p is 95 s old."


def test_a_value_is_one_item_with_its_time_in_utc() -> None:
    east = datetime(2026, 9, 1, 14, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))
    assert value_list(Value("default", 571, east)) == {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": "media_backlog_seconds",
                "metricLabels": {"pool": "default"},
                "timestamp": "2026-09-01T12:00:00Z",
                "value": "571",
            }
        ],
    }


def test_discovery_names_no_verb_but_get() -> None:
    assert [resource["verbs"] for resource in RESOURCES["resources"]] == [["get"]]


def test_a_refusal_is_a_status_of_the_api_server() -> None:
    document = status(Refusal(404, "NotFound", "There is none."))
    assert (document["kind"], document["code"], document["status"]) == ("Status", 404, "Failure")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": {"backlogSeconds": 7, "backlogTime": "2026-01-02T03:04:05Z"}}, Reading(7, NOW)),
        ({"status": {"backlogSeconds": 7}}, Reading(7, None)),
        ({}, Reading(0, None)),
        ({"status": {"backlogSeconds": "many", "backlogTime": "2026-01-02T03:04:05Z"}}, Reading(0, None)),
        ({"status": {"backlogSeconds": 7, "backlogTime": "2026-01-02T03:04:05"}}, Reading(0, None)),
    ],
)
def test_a_status_that_does_not_say_when_is_as_good_as_none(body: dict[str, object], expected: Reading) -> None:
    assert reading({"metadata": {"name": "default"}, **body}) == expected
