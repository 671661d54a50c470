"""Which groups, versions and resources are served, and the OpenAPI that kubectl reads before it writes.

Aggregated discovery is not spoken: clients that ask for it see the plain form and fall back to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from media_devcluster.embedded.errors import Object, no_such_resource
from media_devcluster.embedded.resources import VERBS, Catalog, Resource

VERSION: Object = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.0+embedded",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "python",
}


def _groups(catalog: Iterable[Resource]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for resource in catalog:
        if resource.group and resource.version not in groups.setdefault(resource.group, []):
            groups[resource.group].append(resource.version)
    return groups


def _group(name: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def legacy_versions() -> Object:
    """`/api`"""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups(catalog: Catalog) -> Object:
    """`/apis`"""
    listed = [_group(name, versions) for name, versions in _groups(catalog).items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(catalog: Catalog, name: str) -> Object:
    """`/apis/<group>`"""
    versions = _groups(catalog).get(name)
    if versions is None:
        raise no_such_resource()
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _entries(resource: Resource) -> list[Object]:
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(VERBS),
        "storageVersionHash": "",
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    below = {"singularName": "", "namespaced": resource.namespaced, "verbs": ["get", "patch", "update"]}
    entries = [entry]
    if resource.has_status:
        entries.append({**below, "name": f"{resource.plural}/status", "kind": resource.kind})
    if resource.scale:
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        entries.append({**below, **scale, "name": f"{resource.plural}/scale"})
    for subresource in resource.subresources:
        kind = {"eviction": "Eviction"}.get(subresource, resource.kind)
        verbs = {"log": ["get"], "eviction": ["create"], "finalize": ["update"]}[subresource]
        entries.append({**below, "name": f"{resource.plural}/{subresource}", "kind": kind, "verbs": verbs})
    return entries


def resources(catalog: Catalog, group: str, version: str) -> Object:
    """`/api/v1` and `/apis/<group>/<version>`"""
    found = [one for one in catalog if (one.group, one.version) == (group, version)]
    if not found:
        raise no_such_resource()
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": [entry for one in found for entry in _entries(one)],
    }


def openapi_index(catalog: Catalog) -> Object:
    """`/openapi/v3`"""
    places = dict.fromkeys(_place(one) for one in catalog)
    return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in places}}


def openapi(catalog: Catalog, place: str) -> Object:
    """`/openapi/v3/apis/<group>/<version>`: the schemas, and that writes take the parameter fieldValidation."""
    found = [one for one in catalog if _place(one) == place]
    if not found:
        raise no_such_resource()
    paths: Object = {}
    schemas: Object = {}
    for one in found:
        kind = {"group": one.group, "version": one.version, "kind": one.kind}
        parameter = {
            "name": "fieldValidation",
            "in": "query",
            "schema": {"type": "string", "uniqueItems": True},
        }
        namespace = "namespaces/{namespace}/" if one.namespaced else ""
        operation = {
            "parameters": [parameter],
            "x-kubernetes-group-version-kind": kind,
            "responses": {"200": {"description": "OK"}},
        }
        paths[f"/{place}/{namespace}{one.plural}/{{name}}"] = {
            "get": {**operation, "x-kubernetes-action": "get"},
            "patch": {**operation, "x-kubernetes-action": "patch"},
        }
        schema = one.openapi or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        reverse = ".".join(reversed(one.group.split("."))) if one.group else "io.k8s.api.core"
        schemas[f"{reverse}.{one.version}.{one.kind}"] = {**schema, "x-kubernetes-group-version-kind": [kind]}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _place(resource: Resource) -> str:
    if resource.group:
        return f"apis/{resource.group}/{resource.version}"
    return f"api/{resource.version}"


def page(catalog: Catalog, path: str) -> Object | None:
    """What is told under a path, if it is one of discovery's."""
    match path.strip("/").split("/"):
        case ["version"]:
            return VERSION
        case ["api"]:
            return legacy_versions()
        case ["apis"]:
            return groups(catalog)
        case ["apis", name]:
            return group(catalog, name)
        case ["api", version]:
            return resources(catalog, "", version)
        case ["apis", name, version]:
            return resources(catalog, name, version)
        case ["openapi", "v3"]:
            return openapi_index(catalog)
        case ["openapi", "v3", *place]:
            return openapi(catalog, "/".join(place))
        case _:
            return None
