"""The status of a pod, made from the states of its containers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from media_devcluster.embedded.errors import Object
from media_devcluster.embedded.objects import stamp


class Phase(StrEnum):
    """Phase of a pod."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


FINISHED = frozenset({Phase.SUCCEEDED, Phase.FAILED})
RUN_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")


@dataclass(frozen=True)
class State:
    """One container at a moment: it waits, runs or has ended."""

    waiting: str | None = "PodInitializing"
    message: str = ""
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    reason: str = ""
    restarts: int = 0
    last: State | None = None

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.started is not None and self.exit_code is None


def _state(state: State) -> Object:
    if state.exit_code is not None:
        ended: Object = {
            "exitCode": state.exit_code,
            "reason": state.reason or ("Completed" if state.exit_code == 0 else "Error"),
            "finishedAt": stamp(state.finished or 0),
        }
        if state.started is not None:
            ended["startedAt"] = stamp(state.started)
        if state.exit_code > 128:
            ended["signal"] = state.exit_code - 128
        if state.message:
            ended["message"] = state.message
        return {"terminated": ended}
    if state.started is not None:
        return {"running": {"startedAt": stamp(state.started)}}
    waiting: Object = {"reason": state.waiting}
    if state.message:
        waiting["message"] = state.message
    return {"waiting": waiting}


def _container_status(container: Object, state: State) -> Object:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": state.running,
        "started": state.running,
        "restartCount": state.restarts,
        "state": _state(state),
        "lastState": _state(state.last) if state.last else {},
    }


def pod_status(
    pod: Object,
    phase: Phase,
    states: Mapping[str, State],
    now: float,
    *,
    initialized: bool,
) -> Object:
    """The whole status; conditions of others, such as DisruptionTarget, are kept."""
    spec, old = pod["spec"], pod.get("status") or {}
    main: Sequence[Object] = spec["containers"]
    running = phase is Phase.RUNNING and all(states[one["name"]].running for one in main)
    facts = {
        "PodScheduled": True,
        "Initialized": initialized,
        "ContainersReady": running,
        "Ready": running,
    }
    known = {condition["type"]: condition for condition in old.get("conditions", ())}
    conditions = [one for one in known.values() if one["type"] not in RUN_CONDITIONS]
    for type_ in RUN_CONDITIONS:
        status = "True" if facts[type_] else "False"
        before = known.get(type_)
        if before is not None and before["status"] == status:
            conditions.append(before)
            continue
        condition = {"type": type_, "status": status, "lastTransitionTime": stamp(now)}
        if phase in FINISHED and not facts[type_]:
            condition["reason"] = "PodCompleted" if phase is Phase.SUCCEEDED else "PodFailed"
        conditions.append(condition)
    status_: Object = {
        "phase": str(phase),
        "conditions": conditions,
        "containerStatuses": [_container_status(one, states[one["name"]]) for one in main],
        "startTime": old.get("startTime") or stamp(now),
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "qosClass": "BestEffort",
    }
    if spec.get("initContainers"):
        status_["initContainerStatuses"] = [
            _container_status(one, states[one["name"]]) for one in spec["initContainers"]
        ]
    return status_
