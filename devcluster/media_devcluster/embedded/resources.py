"""What is served: one `Resource` per kind, built in or made from a CustomResourceDefinition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from media_devcluster.embedded.errors import Object, no_such_resource
from media_devcluster.embedded.jsonpaths import plain_fields
from media_devcluster.embedded.schema import Node

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Scale:
    """Where a kind keeps what the scale subresource shows."""

    replicas: tuple[str, ...]
    status_replicas: tuple[str, ...]
    selector: tuple[str, ...] | None


@dataclass(frozen=True)
class Column:
    """One column of the table form."""

    name: str
    type: str
    path: str
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, eq=False)
class Resource:
    """One kind of object, and how it is served."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    scale: Scale | None = None
    columns: tuple[Column, ...] = ()
    selectable: frozenset[str] = frozenset()
    schema: Node | None = None
    openapi: Object = field(default_factory=dict)
    custom: bool = False
    list_kind: str = ""
    subresources: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The collection, apart from its version: `mediaassets.media.docfliq.com`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """As in an object's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def fields(self) -> frozenset[str]:
        """The fields that may be selected by."""
        own = frozenset({"metadata.name", "metadata.namespace"})
        return (own if self.namespaced else frozenset({"metadata.name"})) | self.selectable


def _built_in(api_version: str, kind: str, plural: str, **more: Any) -> Resource:
    group, _, version = api_version.rpartition("/")
    return Resource(group, version, kind, plural, kind.lower(), list_kind=f"{kind}List", **more)


CRD_FIELDS: Object = {"namespaced": False, "has_status": True, "short_names": ("crd", "crds")}
BUILT_IN: tuple[Resource, ...] = (
    _built_in(
        "v1",
        "Namespace",
        "namespaces",
        namespaced=False,
        short_names=("ns",),
        has_status=True,
        selectable=frozenset({"status.phase"}),
        columns=(Column("Status", "string", ".status.phase"),),
        subresources=("finalize",),
    ),
    _built_in("v1", "Node", "nodes", namespaced=False, short_names=("no",), has_status=True),
    _built_in(
        "v1",
        "Pod",
        "pods",
        short_names=("po",),
        categories=("all",),
        has_status=True,
        selectable=frozenset(
            {
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "status.phase",
                "status.podIP",
            }
        ),
        columns=(
            Column("Status", "string", ".status.phase"),
            Column("Node", "string", ".spec.nodeName", priority=1),
        ),
        subresources=("log", "eviction"),
    ),
    _built_in("v1", "ConfigMap", "configmaps", short_names=("cm",)),
    _built_in("v1", "Secret", "secrets", selectable=frozenset({"type"})),
    _built_in("v1", "ServiceAccount", "serviceaccounts", short_names=("sa",)),
    _built_in(
        "v1",
        "Event",
        "events",
        short_names=("ev",),
        selectable=frozenset(
            {
                *(
                    f"involvedObject.{name}"
                    for name in (
                        "kind",
                        "namespace",
                        "name",
                        "uid",
                        "apiVersion",
                        "resourceVersion",
                        "fieldPath",
                    )
                ),
                "reason",
                "reportingComponent",
                "source",
                "type",
            }
        ),
        columns=(
            Column("Last Seen", "date", ".lastTimestamp"),
            Column("Type", "string", ".type"),
            Column("Reason", "string", ".reason"),
            Column("Object", "string", ".involvedObject.name"),
            Column("Message", "string", ".message"),
        ),
    ),
    _built_in(
        "batch/v1",
        "Job",
        "jobs",
        categories=("all",),
        has_status=True,
        selectable=frozenset({"status.successful"}),
        columns=(
            Column("Completions", "integer", ".spec.completions"),
            Column("Active", "integer", ".status.active"),
            Column("Succeeded", "integer", ".status.succeeded"),
            Column("Failed", "integer", ".status.failed"),
        ),
    ),
    _built_in(
        "coordination.k8s.io/v1",
        "Lease",
        "leases",
        columns=(Column("Holder", "string", ".spec.holderIdentity"),),
    ),
    _built_in("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", **CRD_FIELDS),
)


def from_definition(definition: Object) -> Resource:
    """The resource a CustomResourceDefinition describes, at its storage version."""
    spec = definition["spec"]
    names = spec["names"]
    version = next(one for one in spec["versions"] if one["storage"])
    openapi = (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}
    subresources = version.get("subresources") or {}
    scale = subresources.get("scale")
    return Resource(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        has_status="status" in subresources,
        scale=None
        if scale is None
        else Scale(
            replicas=plain_fields(scale["specReplicasPath"]),
            status_replicas=plain_fields(scale["statusReplicasPath"]),
            selector=plain_fields(scale["labelSelectorPath"]) if scale.get("labelSelectorPath") else None,
        ),
        columns=tuple(
            Column(
                name=column["name"],
                type=column["type"],
                path=column["jsonPath"],
                format=column.get("format", ""),
                description=column.get("description", ""),
                priority=column.get("priority", 0),
            )
            for column in version.get("additionalPrinterColumns", ())
        ),
        selectable=frozenset(".".join(plain_fields(one["jsonPath"])) for one in version.get("selectableFields", ())),
        schema=Node(openapi, root=True),
        openapi=openapi,
        custom=True,
    )


class Catalog:
    """The resources served at this moment."""

    def __init__(self, resources: Iterable[Resource] = BUILT_IN) -> None:
        self._resources = {(one.group, one.version, one.plural): one for one in resources}

    def __iter__(self) -> Any:
        return iter(tuple(self._resources.values()))

    def get(self, group: str, version: str, plural: str) -> Resource:
        """The resource of a path, or 404."""
        try:
            return self._resources[group, version, plural]
        except KeyError:
            raise no_such_resource() from None

    def find(self, api_version: str, kind: str) -> Resource | None:
        """The resource that an ownerReference or an involvedObject names."""
        return next((one for one in self if one.api_version == api_version and one.kind == kind), None)

    def define(self, definition: Object) -> Resource:
        """Serves a custom resource from now on, in the place of an older definition of it."""
        resource = from_definition(definition)
        self.forget(resource.name)
        self._resources[resource.group, resource.version, resource.plural] = resource
        return resource

    def forget(self, name: str) -> None:
        """Stops serving a custom resource."""
        gone = [key for key, one in self._resources.items() if one.custom and one.name == name]
        for key in gone:
            del self._resources[key]


_INDEX = Catalog()
NAMESPACES = _INDEX.get("", "v1", "namespaces")
PODS = _INDEX.get("", "v1", "pods")
NODES = _INDEX.get("", "v1", "nodes")
EVENTS = _INDEX.get("", "v1", "events")
SECRETS = _INDEX.get("", "v1", "secrets")
CONFIG_MAPS = _INDEX.get("", "v1", "configmaps")
SERVICE_ACCOUNTS = _INDEX.get("", "v1", "serviceaccounts")
JOBS = _INDEX.get("batch", "v1", "jobs")
DEFINITIONS = _INDEX.get("apiextensions.k8s.io", "v1", "customresourcedefinitions")
