"""What a write means: the one way into the store, for clients and for the controllers in this package alike.

It reads the store, asks the pure functions of `objects`, `kinds` and `schema` what the new object is, and puts it
there, all within one step of the event loop: no write can come between.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from media_devcluster.embedded import errors, kinds, objects
from media_devcluster.embedded.errors import Cause, Object
from media_devcluster.embedded.resources import DEFINITIONS, JOBS, NAMESPACES, PODS, Catalog, Resource
from media_devcluster.embedded.store import Key, Store, Stored, freeze

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
TYPE_AND_METADATA = frozenset({"apiVersion", "kind", "metadata"})


class Part(Enum):
    """Which part of an object a request writes."""

    MAIN = "main"
    STATUS = "status"


@dataclass(frozen=True)
class Request:
    """How a write is to be taken."""

    part: Part = Part.MAIN
    dry_run: bool = False
    strict: bool = False
    must_name_version: bool = False


@dataclass(frozen=True)
class DeleteOptions:
    """What a delete asks for beyond the name."""

    grace: int | None = None
    uid: str | None = None
    version: str | None = None
    propagation: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Written:
    """The outcome of a write."""

    stored: Stored
    warnings: tuple[str, ...] = ()
    removed: bool = False


PLAIN = Request()
AS_STATUS = Request(part=Part.STATUS)


def random_suffix() -> str:
    """Five characters as generated names end with."""
    return "".join(random.choices(ALPHABET, k=5))  # noqa: S311 - a name, not a secret


@dataclass
class Registry:
    """Creates, updates and deletes objects."""

    store: Store
    catalog: Catalog
    clock: Callable[[], float]
    live: dict[str, Key] = field(default_factory=dict)

    def get(self, resource: Resource, key: Key) -> Stored:
        """An object, or 404."""
        found = self.store.get(resource.name, key)
        if found is None:
            raise errors.not_found(resource.plural, resource.group, key.name)
        return found

    def create(self, resource: Resource, namespace: str, body: Object, request: Request = PLAIN) -> Written:
        """Stores a new object."""
        self._check_type(resource, body)
        metadata = objects.given_metadata(body)
        if metadata.get("namespace", namespace) != namespace:
            message = "the namespace of the provided object does not match the namespace sent on the request"
            raise errors.bad_request(message)
        prefix = (body.get("metadata") or {}).get("generateName")
        if prefix and not metadata.get("name"):
            metadata["name"] = f"{prefix[:58]}{random_suffix()}"
            metadata["generateName"] = prefix
        if not metadata.get("name"):
            cause = Cause("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")
            raise errors.invalid(resource.kind, resource.group, "", [cause])
        if resource.namespaced:
            metadata["namespace"] = namespace
            self._check_namespace(resource, namespace, metadata["name"])
        key = Key(namespace, metadata["name"])
        if self.store.get(resource.name, key) is not None:
            raise errors.already_exists(resource.plural, resource.group, key.name)
        now = self.clock()
        causes = objects.metadata_causes(metadata)
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=objects.stamp(now), generation=1)
        body = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            **{name: value for name, value in body.items() if name not in TYPE_AND_METADATA},
            "metadata": metadata,
        }
        if resource.has_status:
            body.pop("status", None)
        body = kinds.on_create(resource.name, body, now, causes)
        body, warnings = self._shaped(resource, body, causes, key.name, strict=request.strict)
        if request.dry_run:
            return Written(freeze(body, 0), warnings)
        self.live[metadata["uid"]] = key
        return Written(self._put(resource, key, body), warnings)

    def update(
        self, resource: Resource, key: Key, change: Callable[[Object], Object], request: Request = PLAIN
    ) -> Written:
        """Stores what `change` makes of an object; a change that changes nothing raises no version."""
        current = self.get(resource, key)
        old = current.body
        wanted = change(old)
        self._check_identity(resource, current, wanted, must_name_version=request.must_name_version)
        if request.part is Part.STATUS:
            body = objects.with_status(old, wanted)
        else:
            body = objects.updated(old, wanted, has_status=resource.has_status)
        causes = [*objects.metadata_causes(body["metadata"]), *objects.update_causes(old, body)]
        body, warnings = self._shaped(resource, body, causes, key.name, strict=request.strict, old=old)
        if body == old:
            return Written(current, warnings)
        if request.dry_run:
            return Written(freeze(body, current.version), warnings)
        if objects.may_go(body) and resource is not NAMESPACES:
            self._remove(resource, key)
            return Written(freeze(body, self.store.version), warnings, removed=True)
        return Written(self._put(resource, key, body), warnings)

    def delete(self, resource: Resource, key: Key, options: DeleteOptions = DeleteOptions()) -> Written:
        """Removes an object, or marks it when something holds it."""
        current = self.get(resource, key)
        self._check_preconditions(resource, current, options)
        if options.dry_run:
            return Written(current)
        now = self.clock()
        metadata = current.body["metadata"]
        grace = self._grace(resource, current.body, options)
        added = self._propagation(resource, options)
        if resource is NAMESPACES:
            if "deletionTimestamp" in metadata:
                return Written(current)
            body = {**objects.marked_deleted(current.body, now), "status": {"phase": "Terminating"}}
            return Written(self._put(resource, key, body))
        if grace or metadata.get("finalizers") or added:
            marked = "deletionTimestamp" in metadata
            if marked and grace >= metadata.get("deletionGracePeriodSeconds", 0):
                return Written(current)
            body = objects.marked_deleted(current.body, now, grace=grace, finalizers=() if marked else added)
            return Written(self._put(resource, key, body))
        return Written(self._remove(resource, key), removed=True)

    def drop(self, resource: Resource, key: Key) -> None:
        """Removes an object whatever holds it: the end of a namespace's own way."""
        self._remove(resource, key)

    def _put(self, resource: Resource, key: Key, body: Object) -> Stored:
        stored = self.store.put(resource.name, key, body)
        if resource is DEFINITIONS:
            self.catalog.define(stored.body)
        return stored

    def _remove(self, resource: Resource, key: Key) -> Stored:
        gone = self.store.remove(resource.name, key)
        self.live.pop(gone.body["metadata"]["uid"], None)
        if resource is DEFINITIONS:
            self.catalog.forget(key.name)
        return gone

    def _shaped(
        self,
        resource: Resource,
        body: Object,
        causes: list[Cause],
        name: str,
        *,
        strict: bool,
        old: Object | None = None,
    ) -> tuple[Object, tuple[str, ...]]:
        """Prunes, fills in defaults and validates."""
        dropped: list[str] = []
        if resource.schema is not None:
            body = resource.schema.conform(body, old or {}, dropped, causes)
        if dropped and strict:
            said = ", ".join(f'unknown field "{path}"' for path in dropped)
            raise errors.bad_request(
                f"{resource.kind} in version {resource.version!r} cannot be handled as a "
                f"{resource.kind}: strict decoding error: {said}"
            )
        if causes:
            raise errors.invalid(resource.kind, resource.group, name, causes)
        return body, tuple(f'unknown field "{path}"' for path in dropped)

    def _check_type(self, resource: Resource, body: Object) -> None:
        """A custom object must say what it is; a built-in one must not say that it is something else."""
        version, kind = body.get("apiVersion", ""), body.get("kind", "")
        if not resource.custom:
            version, kind = version or resource.api_version, kind or resource.kind
        if not kind:
            raise errors.bad_request("Object 'Kind' is missing")
        if version != resource.api_version:
            raise errors.bad_request(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({resource.api_version})"
            )
        if kind != resource.kind and resource.custom:
            rule = f'Invalid value: "{kind}": must be {resource.kind}'
            name = (body.get("metadata") or {}).get("name", "")
            raise errors.invalid(kind, resource.group, name, [Cause("FieldValueInvalid", "kind", rule)])
        if kind != resource.kind:
            raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}')

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        found = self.store.get(NAMESPACES.name, Key("", namespace))
        if found is None:
            raise errors.not_found(NAMESPACES.plural, "", namespace)
        if "deletionTimestamp" in found.body["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise errors.forbidden(resource.plural, resource.group, name, why)

    def _check_identity(self, resource: Resource, current: Stored, wanted: Object, *, must_name_version: bool) -> None:
        """A write must speak of this object, and of this version if it speaks of any."""
        if not isinstance(wanted, dict) or not isinstance(wanted.get("metadata") or {}, dict):
            raise errors.patch_refused()
        self._check_type(resource, wanted)
        metadata, name = wanted.get("metadata") or {}, current.body["metadata"]["name"]
        if metadata.get("name", name) != name:
            raise errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
            )
        uid = current.body["metadata"]["uid"]
        if metadata.get("uid") and metadata["uid"] != uid:
            why = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {uid}"
            raise errors.conflict(resource.plural, resource.group, name, why)
        version = metadata.get("resourceVersion")
        if version and version != str(current.version):
            raise errors.modified(resource.plural, resource.group, name)
        if not version and must_name_version:
            rule = "Invalid value: 0: must be specified for an update"
            cause = Cause("FieldValueInvalid", "metadata.resourceVersion", rule)
            raise errors.invalid(resource.kind, resource.group, name, [cause])

    def _check_preconditions(self, resource: Resource, current: Stored, options: DeleteOptions) -> None:
        metadata = current.body["metadata"]
        for what, wanted, found in (
            ("UID", options.uid, metadata["uid"]),
            ("ResourceVersion", options.version, metadata["resourceVersion"]),
        ):
            if wanted and wanted != found:
                why = f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                raise errors.conflict(resource.plural, resource.group, metadata["name"], why)

    def _grace(self, resource: Resource, body: Object, options: DeleteOptions) -> int:
        """Only pods that run end gracefully."""
        if resource is not PODS or body.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        if not body["spec"].get("nodeName"):
            return 0
        if options.grace is not None:
            return max(options.grace, 0)
        return int(body["spec"].get("terminationGracePeriodSeconds", 30))

    def _propagation(self, resource: Resource, options: DeleteOptions) -> tuple[str, ...]:
        """The finalizer that makes the collector orphan or delete dependents first.

        A Job that is deleted without a policy leaves its pods behind: batch/v1 keeps that for old clients.
        """
        policy = options.propagation or ("Orphan" if resource is JOBS else "Background")
        return {"Orphan": (ORPHAN,), "Foreground": (FOREGROUND,)}.get(policy, ())
