"""What every object has in common: metadata, its rules, and what a write may change. Pure functions.

The registry reads the store, asks these functions what the new object is, and writes it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from media_devcluster.embedded.errors import Cause, Object, bad_request

METADATA_GIVEN = ("name", "namespace", "labels", "annotations", "finalizers", "ownerReferences")
METADATA_SYSTEM = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "resourceVersion",
)
SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
QUALIFIED = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
ANNOTATION_BYTES = 256 * 1024


def stamp(now: float) -> str:
    """A time as metadata has it."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def given_metadata(body: Object) -> Object:
    """The metadata a client may set; all else in it is the server's or unknown."""
    metadata = body.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    return {name: metadata[name] for name in METADATA_GIVEN if metadata.get(name)}


def metadata_causes(metadata: Object) -> list[Cause]:
    """What is wrong with name, labels, annotations and finalizers."""
    causes: list[Cause] = []
    name = metadata.get("name", "")
    if not isinstance(name, str) or len(name) > 253 or not SUBDOMAIN.match(name):
        rule = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        causes.append(Cause("FieldValueInvalid", "metadata.name", f'Invalid value: "{name}": {rule}'))
    for place in ("labels", "annotations"):
        causes.extend(_map_causes(f"metadata.{place}", metadata.get(place, {}), labels=place == "labels"))
    for finalizer in metadata.get("finalizers", []):
        if not isinstance(finalizer, str) or not QUALIFIED.match(finalizer):
            message = f'Invalid value: "{finalizer}": name part must be a qualified name'
            causes.append(Cause("FieldValueInvalid", "metadata.finalizers", message))
    for index, owner in enumerate(metadata.get("ownerReferences", [])):
        causes.extend(
            Cause("FieldValueRequired", f"metadata.ownerReferences[{index}].{part}", "Required value")
            for part in ("apiVersion", "kind", "name", "uid")
            if not isinstance(owner, dict) or not owner.get(part)
        )
    return causes


def _map_causes(path: str, entries: Any, *, labels: bool) -> list[Cause]:
    if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
        raise bad_request(f"{path} must be a map of strings to strings")
    causes = []
    for key, value in entries.items():
        if not QUALIFIED.match(key) or len(key.rpartition("/")[2]) > 63:
            message = f'Invalid value: "{key}": name part must be a qualified name'
            causes.append(Cause("FieldValueInvalid", path, message))
        if labels and (len(value) > 63 or not LABEL_VALUE.match(value)):
            rule = "must be no more than 63 characters" if len(value) > 63 else "a valid label must be an empty"
            rule += " string or consist of alphanumeric characters, '-', '_' or '.'" if len(value) <= 63 else ""
            causes.append(Cause("FieldValueInvalid", path, f'Invalid value: "{value}": {rule}'))
    if not labels and sum(len(key) + len(value) for key, value in entries.items()) > ANNOTATION_BYTES:
        message = f"Too long: may not be more than {ANNOTATION_BYTES} bytes"
        causes.append(Cause("FieldValueTooLong", path, message))
    return causes


def updated(old: Object, new: Object, *, has_status: bool) -> Object:
    """What a write to the main resource leaves: the server's metadata and the status stay."""
    metadata = {
        **given_metadata(new),
        **{name: old["metadata"][name] for name in METADATA_SYSTEM if name in old["metadata"]},
    }
    body = {**new, "metadata": metadata}
    if has_status:
        body.pop("status", None)
        if "status" in old:
            body["status"] = old["status"]
    if content(old, has_status) != content(body, has_status):
        metadata["generation"] = metadata.get("generation", 1) + 1
    return body


def with_status(old: Object, new: Object) -> Object:
    """What a write to the status subresource leaves: nothing but the status is taken."""
    body = {name: value for name, value in old.items() if name != "status"}
    if new.get("status") is not None:
        body["status"] = new["status"]
    return body


def content(body: Object, has_status: bool) -> Object:
    """The part of an object whose changes are counted by its generation."""
    ignored = {"metadata", "status"} if has_status else {"metadata"}
    return {name: value for name, value in body.items() if name not in ignored}


def update_causes(old: Object, new: Object) -> list[Cause]:
    """Changes of metadata that no update may make."""
    causes = []
    if old["metadata"].get("deletionTimestamp"):
        known = set(old["metadata"].get("finalizers", []))
        added = [one for one in new["metadata"].get("finalizers", []) if one not in known]
        if added:
            message = (
                "Forbidden: no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{', '.join(repr(one) for one in added)}}}"
            )
            causes.append(Cause("FieldValueForbidden", "metadata.finalizers", message))
    return causes


def marked_deleted(body: Object, now: float, *, grace: int = 0, finalizers: tuple[str, ...] = ()) -> Object:
    """The object with its deletion under way."""
    metadata = dict(body["metadata"])
    if "deletionTimestamp" not in metadata:
        metadata["generation"] = metadata.get("generation", 1) + 1
    metadata["deletionTimestamp"] = stamp(now + grace)
    metadata["deletionGracePeriodSeconds"] = grace
    held = list(metadata.get("finalizers", []))
    held.extend(one for one in finalizers if one not in held)
    if held:
        metadata["finalizers"] = held
    return {**body, "metadata": metadata}


def may_go(body: Object) -> bool:
    """Whether an object whose deletion was asked for is held by nothing any more."""
    metadata = body["metadata"]
    return (
        "deletionTimestamp" in metadata
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
    )
