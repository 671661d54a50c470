"""What the Job controller does next, as a pure function of a Job, its pods and the time.

Conditions, reasons and counters come in the order and with the words of the real controller, since the operator
tells a disruption from a crash by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from media_devcluster.embedded.errors import Object
from media_devcluster.embedded.kinds import TRACKING_FINALIZER
from media_devcluster.embedded.objects import stamp
from media_devcluster.embedded.podstatus import FINISHED, Phase

LONGEST_BACKOFF_SECONDS = 600.0


@dataclass(frozen=True)
class JobPlan:
    """The next state of a Job, and what to do with its pods."""

    status: Object
    create: int = 0
    delete: tuple[str, ...] = ()
    """Names of pods that have to end."""
    release: tuple[str, ...] = ()
    """Names of pods that are counted, and need not be held any longer."""
    wake_after: float | None = None
    remove: bool = False
    """Whether the Job itself has outlived its ttlSecondsAfterFinished."""


@dataclass(frozen=True)
class Verdict:
    """Why a Job ends."""

    succeeded: bool
    reason: str
    message: str


def seconds_of(time: str) -> float:
    """A timestamp of an object as seconds."""
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def condition_of(status: Object, type_: str) -> Object | None:
    """The condition of that type, if it is true."""
    return next(
        (one for one in status.get("conditions", ()) if one["type"] == type_ and one["status"] == "True"), None
    )


def is_over(job: Object) -> bool:
    """Whether a Job has reached its terminal condition."""
    status = job.get("status") or {}
    return condition_of(status, "Complete") is not None or condition_of(status, "Failed") is not None


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", Phase.PENDING))


def _is_ready(pod: Object) -> bool:
    return condition_of(pod.get("status") or {}, "Ready") is not None


def _matches_rule(rule: Object, pod: Object) -> bool:
    if (wanted := rule.get("onExitCodes")) is not None:
        status = pod.get("status") or {}
        codes = [
            state["exitCode"]
            for one in [*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())]
            if wanted.get("containerName") in (None, one["name"])
            and (state := one["state"].get("terminated")) is not None
            and state["exitCode"] != 0
        ]
        if wanted["operator"] == "In":
            return any(code in wanted["values"] for code in codes)
        return any(code not in wanted["values"] for code in codes)
    held = {(one["type"], one["status"]) for one in (pod.get("status") or {}).get("conditions", ())}
    return any((one["type"], one.get("status", "True")) in held for one in rule.get("onPodConditions", ()))


def _judged(job: Object, pod: Object) -> tuple[str, str]:
    """What the podFailurePolicy says of a failed pod: an action, and a message."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules", ())
    for index, rule in enumerate(rules):
        if _matches_rule(rule, pod):
            what = "exit code" if rule.get("onExitCodes") else "condition"
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            message = f"Pod {name} has {what} matching {rule['action']} rule at index {index}"
            return rule["action"], message
    return "Count", ""


def decide(job: Object, pods: Sequence[Object], now: float, backoff_seconds: float) -> JobPlan:
    """The next step of one Job."""
    spec, status = job["spec"], dict(job.get("status") or {})
    if is_over(job):
        return _afterwards(job, pods, now)
    held = [pod for pod in pods if TRACKING_FINALIZER in pod["metadata"].get("finalizers", ())]
    done = [pod for pod in held if _phase(pod) in FINISHED]
    unfinished = [pod for pod in pods if _phase(pod) not in FINISHED]
    terminating = [pod for pod in unfinished if "deletionTimestamp" in pod["metadata"]]
    active = [pod for pod in unfinished if "deletionTimestamp" not in pod["metadata"]]

    suspended = bool(spec.get("suspend"))
    if not suspended:
        status.setdefault("startTime", stamp(now))
    verdict = _target(status)
    succeeded = status.get("succeeded", 0) + sum(_phase(pod) == Phase.SUCCEEDED for pod in done)
    failed = status.get("failed", 0)
    for pod in (pod for pod in done if _phase(pod) == Phase.FAILED):
        action, message = _judged(job, pod)
        if action == "FailJob" and verdict is None:
            verdict = Verdict(False, "PodFailurePolicy", message)
        if action != "Ignore":
            failed += 1
    wake: list[float] = []
    verdict = verdict or _counted_verdict(spec, succeeded, failed)
    if verdict is None and not suspended and (deadline := spec.get("activeDeadlineSeconds")) is not None:
        left = seconds_of(status["startTime"]) + deadline - now
        if left <= 0:
            verdict = Verdict(False, "DeadlineExceeded", "Job was active longer than specified deadline")
        else:
            wake.append(left)

    plan_status = _counters(status, active, terminating, succeeded, failed)
    released = tuple(pod["metadata"]["name"] for pod in done)
    if verdict is not None:
        over = not unfinished
        plan_status["conditions"] = _with_verdict(status, verdict, now, over=over)
        if over and verdict.succeeded:
            plan_status["completionTime"] = stamp(now)
        ending = tuple(pod["metadata"]["name"] for pod in active)
        return JobPlan(plan_status, delete=ending, release=released)
    if suspended:
        ending = tuple(pod["metadata"]["name"] for pod in active)
        return JobPlan(plan_status, delete=ending, release=released)
    wanted = min(spec.get("parallelism", 1), spec.get("completions", 1) - succeeded) - len(unfinished)
    if wanted > 0 and failed and (wait := _backoff_left(pods, failed, now, backoff_seconds)) > 0:
        wake.append(wait)
        wanted = 0
    if "deletionTimestamp" in job["metadata"]:
        wanted = 0
    return JobPlan(plan_status, max(wanted, 0), release=released, wake_after=min(wake, default=None))


def _target(status: Object) -> Verdict | None:
    """What was decided earlier, while pods are still ending."""
    for type_, succeeded in (("FailureTarget", False), ("SuccessCriteriaMet", True)):
        if (found := condition_of(status, type_)) is not None:
            return Verdict(succeeded, found["reason"], found["message"])
    return None


def _counted_verdict(spec: Object, succeeded: int, failed: int) -> Verdict | None:
    if failed > spec.get("backoffLimit", 6):
        return Verdict(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if succeeded >= spec.get("completions", 1):
        return Verdict(True, "CompletionsReached", "Reached expected number of succeeded pods")
    return None


def _counters(
    status: Object, active: Sequence[Object], terminating: Sequence[Object], succeeded: int, failed: int
) -> Object:
    counted = {name: value for name, value in status.items() if name not in ("active", "succeeded", "failed")}
    for name, value in (("active", len(active)), ("succeeded", succeeded), ("failed", failed)):
        if value:
            counted[name] = value
    return {**counted, "ready": sum(map(_is_ready, active)), "terminating": len(terminating)}


def _with_verdict(status: Object, verdict: Verdict, now: float, *, over: bool) -> list[Object]:
    """First the intent, and the terminal condition once the last pod has ended."""
    names = ("SuccessCriteriaMet", "Complete") if verdict.succeeded else ("FailureTarget", "Failed")
    conditions = list(status.get("conditions", ()))
    for name in names if over else names[:1]:
        if condition_of(status, name) is None:
            conditions.append(
                {
                    "type": name,
                    "status": "True",
                    "reason": verdict.reason,
                    "message": verdict.message,
                    "lastProbeTime": stamp(now),
                    "lastTransitionTime": stamp(now),
                }
            )
    return conditions


def _backoff_left(pods: Sequence[Object], failed: int, now: float, backoff_seconds: float) -> float:
    """Seconds to wait after the latest failure before another pod is made."""
    ends = [
        seconds_of(state["finishedAt"])
        for pod in pods
        for one in (pod.get("status") or {}).get("containerStatuses", ())
        if (state := one["state"].get("terminated")) is not None
    ]
    if not ends:
        return 0.0
    backoff = min(backoff_seconds * 2.0 ** (failed - 1), LONGEST_BACKOFF_SECONDS)
    return max(ends) + backoff - now


def _afterwards(job: Object, pods: Sequence[Object], now: float) -> JobPlan:
    """A Job that is over: nothing is held any more, and it goes when its time is up."""
    status = job["status"]
    held = tuple(
        pod["metadata"]["name"] for pod in pods if TRACKING_FINALIZER in pod["metadata"].get("finalizers", ())
    )
    ttl = job["spec"].get("ttlSecondsAfterFinished")
    if ttl is None or "deletionTimestamp" in job["metadata"]:
        return JobPlan(status, release=held)
    finished = condition_of(status, "Complete") or condition_of(status, "Failed")
    assert finished is not None
    left = seconds_of(finished["lastTransitionTime"]) + ttl - now
    if left <= 0:
        return JobPlan(status, release=held, remove=True)
    return JobPlan(status, release=held, wake_after=left)
