"""What the server adds to built-in kinds when they are created: defaults, first status, selectors.

Custom kinds get theirs from their schema; the few that are built in get them here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from media_devcluster.embedded.errors import Cause, Object
from media_devcluster.embedded.objects import stamp

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")
JOB_UID_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
Created = Callable[[Object, float, list[Cause]], Object]


def _namespace(body: Object, now: float, causes: list[Cause]) -> Object:
    return {**body, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}


def _secret(body: Object, now: float, causes: list[Cause]) -> Object:
    data = dict(body.get("data") or {})
    for name, text in (body.get("stringData") or {}).items():
        data[name] = base64.b64encode(text.encode()).decode()
    body = {name: value for name, value in body.items() if name != "stringData"}
    return {"type": "Opaque", **body, "data": data}


def _pod(body: Object, now: float, causes: list[Cause]) -> Object:
    spec = body.get("spec") or {}
    _require_containers(spec, "spec", causes)
    defaults = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "serviceAccountName": "default",
        "schedulerName": "default-scheduler",
    }
    return {**body, "spec": _with_volume_defaults({**defaults, **spec}), "status": {"phase": "Pending"}}


def _with_volume_defaults(spec: Object) -> Object:
    """Fields that clients take for granted once the server has seen a pod, though they may be left out."""
    volumes = []
    for volume in spec.get("volumes") or ():
        volume = dict(volume)
        for kind in ("secret", "configMap", "projected"):
            if kind in volume:
                volume[kind] = {"defaultMode": 420, **volume[kind]}
        if "projected" in volume:
            sources = [
                {**one, "serviceAccountToken": {"expirationSeconds": 3600, **one["serviceAccountToken"]}}
                if "serviceAccountToken" in one
                else one
                for one in volume["projected"].get("sources") or ()
            ]
            volume["projected"] = {**volume["projected"], "sources": sources}
        volumes.append(volume)
    return {**spec, "volumes": volumes} if volumes else spec


def _require_containers(spec: Object, path: str, causes: list[Cause]) -> None:
    if not spec.get("containers"):
        causes.append(Cause("FieldValueRequired", f"{path}.containers", "Required value"))
    for field in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(field) or ()):
            causes.extend(
                Cause("FieldValueRequired", f"{path}.{field}[{index}].{part}", "Required value")
                for part in ("name", "image")
                if not container.get(part)
            )


def _job(body: Object, now: float, causes: list[Cause]) -> Object:
    metadata = body["metadata"]
    spec = body.get("spec") or {}
    template = spec.get("template") or {}
    pod = template.get("spec") or {}
    _require_containers(pod, "spec.template.spec", causes)
    policy = pod.get("restartPolicy")
    if policy not in ("Never", "OnFailure"):
        message = f'Required value: valid values: "OnFailure", "Never" (given: "{policy or ""}")'
        causes.append(Cause("FieldValueRequired", "spec.template.spec.restartPolicy", message))
    if spec.get("podFailurePolicy") and policy != "Never":
        message = f'Invalid value: "{policy}": only "Never" is supported when podFailurePolicy is specified'
        causes.append(Cause("FieldValueInvalid", "spec.template.spec.restartPolicy", message))
    if len(metadata["name"]) > 63:
        message = f'Invalid value: "{metadata["name"]}": must be no more than 63 characters'
        causes.append(Cause("FieldValueTooLong", "metadata.name", message))
    labels = {
        **dict.fromkeys(JOB_NAME_LABELS, metadata["name"]),
        **dict.fromkeys(JOB_UID_LABELS, metadata["uid"]),
    }
    template_metadata = dict(template.get("metadata") or {})
    template_metadata["labels"] = {**(template_metadata.get("labels") or {}), **labels}
    defaults = {
        "backoffLimit": 6,
        "completions": 1,
        "parallelism": 1,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
        "selector": {"matchLabels": {JOB_UID_LABELS[0]: metadata["uid"]}},
    }
    template = {**template, "metadata": template_metadata, "spec": _with_volume_defaults(pod)}
    spec = {**defaults, **spec, "template": template}
    return {**body, "metadata": {**metadata, "labels": {**labels, **metadata.get("labels", {})}}, "spec": spec}


def _definition(body: Object, now: float, causes: list[Cause]) -> Object:
    spec = body.get("spec") or {}
    names = spec.get("names") or {}
    causes.extend(
        Cause("FieldValueRequired", f"spec.{field}", "Required value")
        for field in ("group", "names", "scope", "versions")
        if not spec.get(field)
    )
    causes.extend(
        Cause("FieldValueRequired", f"spec.names.{field}", "Required value")
        for field in ("plural", "kind")
        if not names.get(field)
    )
    if sum(bool(version.get("storage")) for version in spec.get("versions") or ()) != 1:
        message = "Invalid value: must have exactly one version marked as storage version"
        causes.append(Cause("FieldValueInvalid", "spec.versions", message))
    expected = f"{names.get('plural')}.{spec.get('group')}"
    if body["metadata"]["name"] != expected:
        message = f'Invalid value: "{body["metadata"]["name"]}": must be spec.names.plural+"."+spec.group'
        causes.append(Cause("FieldValueInvalid", "metadata.name", message))
    if causes:
        return body
    names = {
        "listKind": f"{names['kind']}List",
        "singular": names["kind"].lower(),
        **names,
    }
    metadata = dict(body["metadata"])
    finalizers = metadata.get("finalizers", [])
    if CLEANUP_FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, CLEANUP_FINALIZER]
    conditions = [
        {
            "type": type_,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": stamp(now),
        }
        for type_, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    status = {
        "acceptedNames": names,
        "conditions": conditions,
        "storedVersions": [version["name"] for version in spec["versions"] if version["storage"]],
    }
    spec = {"conversion": {"strategy": "None"}, **spec, "names": names}
    return {**body, "metadata": metadata, "spec": spec, "status": status}


CREATED: dict[str, Created] = {
    "namespaces": _namespace,
    "secrets": _secret,
    "pods": _pod,
    "jobs.batch": _job,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}


def on_create(name: str, body: Object, now: float, causes: list[Cause]) -> Object:
    """The object as the server stores it first; what is wrong with it is added to `causes`."""
    created = CREATED.get(name)
    return created(body, now, causes) if created else body
