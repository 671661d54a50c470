"""What goes when something else is gone: dependents of an owner, the content of a namespace, objects of a CRD.

It hears every change and acts in a task of its own, so that no write ever waits for the deletes it causes.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import structlog

from media_devcluster.embedded.errors import ApiError, Object
from media_devcluster.embedded.kinds import CLEANUP_FINALIZER
from media_devcluster.embedded.registry import FOREGROUND, ORPHAN, DeleteOptions, Registry
from media_devcluster.embedded.resources import DEFINITIONS, NAMESPACES, Resource
from media_devcluster.embedded.store import Change, Key, Store

log = structlog.get_logger(__name__)

Place = tuple[str, Key]
BACKGROUND = DeleteOptions(propagation="Background")


def _owners(body: Object) -> set[str]:
    return {owner["uid"] for owner in body["metadata"].get("ownerReferences", ())}


class Collector:
    """Collects garbage until it is stopped."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._dependents: defaultdict[str, set[Place]] = defaultdict(set)
        self._due: asyncio.Queue[Change] = asyncio.Queue()
        store.listeners.append(self.hear)

    def hear(self, change: Change) -> None:
        """Keeps the index of dependents, and queues what may have consequences."""
        place = (change.collection, change.key)
        old = _owners(change.before.body) if change.before else set()
        new = _owners(change.after.body) if change.after else set()
        for uid in old - new:
            self._dependents[uid].discard(place)
            if not self._dependents[uid]:
                del self._dependents[uid]
        for uid in new - old:
            self._dependents[uid].add(place)
        ending = change.after is None or "deletionTimestamp" in change.after.body["metadata"]
        if ending or new - old:
            self._due.put_nowait(change)

    async def run(self) -> None:
        """Works off what was heard."""
        while True:
            change = await self._due.get()
            try:
                self._settle(change)
            except ApiError as error:
                log.warning("garbage not collected", collection=change.collection, error=str(error))

    def _settle(self, change: Change) -> None:
        resource = self._resource(change.collection)
        if change.after is None:
            assert change.before is not None
            uid = change.before.body["metadata"]["uid"]
            for place in tuple(self._dependents.get(uid, ())):
                self._release(place, uid)
            self._finish_containers(change)
            return
        current = self._store.get(change.collection, change.key)
        if current is None or resource is None:
            return
        metadata = current.body["metadata"]
        if "deletionTimestamp" not in metadata:
            self._reap_ownerless(change.collection, change.key)
            return
        finalizers = metadata.get("finalizers", ())
        if resource is NAMESPACES:
            self._empty_namespace(change.key)
        elif resource is DEFINITIONS and CLEANUP_FINALIZER in finalizers:
            self._empty_collection(change.key)
        elif ORPHAN in finalizers:
            for place in tuple(self._dependents.get(metadata["uid"], ())):
                self._disown(place, metadata["uid"])
            self._unhold(resource, change.key, ORPHAN)
        elif FOREGROUND in finalizers:
            self._foreground(resource, change.key, metadata["uid"])

    def _resource(self, name: str) -> Resource | None:
        return next((one for one in self._registry.catalog if one.name == name), None)

    def _release(self, place: Place, uid: str) -> None:
        """One owner of a dependent is gone: it goes too, unless another owner lives."""
        resource = self._resource(place[0])
        current = self._store.get(*place)
        if resource is None or current is None:
            return
        if (_owners(current.body) - {uid}) & self._registry.live.keys():
            self._disown(place, uid)
        else:
            self._delete(resource, place[1])

    def _reap_ownerless(self, name: str, key: Key) -> None:
        """An object that was created for owners none of which exists any more."""
        current = self._store.get(name, key)
        resource = self._resource(name)
        if current is None or resource is None:
            return
        owners = _owners(current.body)
        if owners and not owners & self._registry.live.keys():
            self._delete(resource, key)

    def _disown(self, place: Place, uid: str) -> None:
        resource = self._resource(place[0])
        if resource is None:
            return

        def without_owner(body: Object) -> Object:
            metadata = body["metadata"]
            kept = [owner for owner in metadata.get("ownerReferences", ()) if owner["uid"] != uid]
            return {**body, "metadata": {**metadata, "ownerReferences": kept}}

        self._registry.update(resource, place[1], without_owner)

    def _unhold(self, resource: Resource, key: Key, finalizer: str) -> None:
        def without_finalizer(body: Object) -> Object:
            metadata = body["metadata"]
            kept = [one for one in metadata.get("finalizers", ()) if one != finalizer]
            return {**body, "metadata": {**metadata, "finalizers": kept}}

        self._registry.update(resource, key, without_finalizer)

    def _delete(self, resource: Resource, key: Key) -> None:
        current = self._store.get(resource.name, key)
        if current is not None and "deletionTimestamp" not in current.body["metadata"]:
            self._registry.delete(resource, key, BACKGROUND)

    def _foreground(self, resource: Resource, key: Key, uid: str) -> None:
        """Dependents first; the owner goes with the last of them."""
        dependents = tuple(self._dependents.get(uid, ()))
        for name, dependent in dependents:
            if (found := self._resource(name)) is not None:
                self._delete(found, dependent)
        if not self._dependents.get(uid):
            self._unhold(resource, key, FOREGROUND)

    def _empty_namespace(self, key: Key) -> None:
        left = False
        for resource in self._registry.catalog:
            if resource.namespaced:
                for stored in tuple(self._store.collection(resource.name).within(key.name)):
                    self._delete(resource, Key(key.name, stored.body["metadata"]["name"]))
                left = left or any(self._store.collection(resource.name).within(key.name))
        if not left and self._store.get(NAMESPACES.name, key) is not None:
            self._registry.drop(NAMESPACES, key)

    def _empty_collection(self, key: Key) -> None:
        resource = self._resource(key.name)
        if resource is not None:
            for object_key in tuple(self._store.collection(key.name).objects):
                self._delete(resource, object_key)
        if not self._store.collection(key.name).objects:
            self._unhold(DEFINITIONS, key, CLEANUP_FINALIZER)

    def _finish_containers(self, change: Change) -> None:
        """The last object of something that waits to be empty may be gone with this change."""
        for resource, key in (
            (NAMESPACES, Key("", change.key.namespace)),
            (DEFINITIONS, Key("", change.collection)),
        ):
            container = self._store.get(resource.name, key)
            if container is not None and "deletionTimestamp" in container.body["metadata"]:
                if resource is NAMESPACES:
                    self._empty_namespace(key)
                else:
                    self._empty_collection(key)
        assert change.before is not None
        for owner in change.before.body["metadata"].get("ownerReferences", ()):
            waiting = self._registry.catalog.find(owner["apiVersion"], owner["kind"])
            place = self._registry.live.get(owner["uid"])
            if waiting is not None and place is not None:
                current = self._store.get(waiting.name, place)
                if current is not None and FOREGROUND in current.body["metadata"].get("finalizers", ()):
                    self._foreground(waiting, place, owner["uid"])
