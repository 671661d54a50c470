from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from media_core.asset import AssetType
from media_core.conditions import ConditionType, Truth, with_condition
from media_core.pool import MediaWorkerPool, PoolSpec, PoolStatus, pool_for
from media_core.reasons import Reason
from media_core.shape import Shape
from support.build import NOW, a_pool, a_pool_body

CRD = yaml.safe_load((Path(__file__).parents[2] / "crds" / "mediaworkerpool.yaml").read_text())
SCHEMA: dict[str, Any] = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def defaulted(schema: dict[str, Any]) -> Any:
    """What the API server makes of an object of which nothing was given."""
    if schema["type"] != "object":
        return schema["default"]
    parts = schema.get("properties", {})
    return {name: defaulted(part) for name, part in parts.items() if "default" in part}


def test_the_defaults_are_those_of_the_schema() -> None:
    assert PoolSpec().to_json() == defaulted(SCHEMA)


def test_a_pool_of_which_nothing_is_said_is_read_with_the_defaults() -> None:
    body = {**a_pool_body(a_pool()), "spec": {}, "status": None}
    assert MediaWorkerPool.read(body) == a_pool()


def test_a_pool_comes_back_from_its_json_as_it_was() -> None:
    conditions = with_condition((), ConditionType.READY, Truth.TRUE, Reason.IDLE, "Idle.", NOW, 2)
    status = PoolStatus(replicas=3, jobs=2, backlog_time=NOW, selector="a=b", last_job_number=9, conditions=conditions)
    template = {
        "resources": {"decoder": {"limits": {"cpu": 2, "memory": "3Gi"}}},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": ({"key": "spot", "operator": "Exists"},),
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        "priorityClassName": "low",
    }
    pool = a_pool("video", status=status, replicas=3, prefetch=0, template=template)
    assert MediaWorkerPool.read(json.loads(json.dumps(a_pool_body(pool)))) == pool


def test_keys_of_a_template_are_left_as_they_were_written() -> None:
    pool = a_pool(template={"nodeSelector": {"some_label": "x"}, "affinity": {"podAffinity": {"snake_case": []}}})
    assert pool.spec.to_json()["template"] == {
        "nodeSelector": {"some_label": "x"},
        "affinity": {"podAffinity": {"snake_case": []}},
    }


def test_a_pool_is_known_by_name_uid_and_version() -> None:
    pool = a_pool("video", version=12)
    assert (pool.name, pool.uid, pool.version) == ("video", pool.metadata.uid, 12)


@pytest.mark.parametrize(
    ("concurrency", "prefetch", "room"),
    [
        pytest.param(2, 4, 6, id="a worker may have those it works on and those it fetches"),
        pytest.param(1, 0, 1, id="the video pool's worker has one at a time"),
    ],
)
def test_room_is_concurrency_and_prefetch(concurrency: int, prefetch: int, room: int) -> None:
    assert PoolSpec(concurrency=concurrency, prefetch=prefetch).room == room


@pytest.mark.parametrize("kind", AssetType)
def test_videos_have_a_pool_of_their_own(kind: AssetType) -> None:
    assert pool_for(kind) == ("video" if kind is AssetType.VIDEO else "default")


def test_values_cannot_be_changed_in_place() -> None:
    pool: Shape = a_pool().spec
    with pytest.raises(ValueError, match="frozen"):
        pool.replicas = 5  # type: ignore[attr-defined]
