"""`media-uninstall`: makes the way free for `helm uninstall`, which would otherwise leave a cluster that hangs.

An APIService without a server behind it blocks the deletion of every namespace of the cluster, and an asset with our
finalizer cannot be deleted once nobody is there to purge it. So, before the chart's objects go: the APIService is
deleted, the operator is stopped, and every asset loses our finalizer, as does the RoleBinding that was held for them.
Nothing else is touched: custom resources, assets, rows and media stay, and an operator that is installed again finds
them.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, ParamSpec, TypeVar

import structlog
from pydantic import Field

from media_core import logs
from media_core.finalizers import without_finalizer
from media_core.names import PURGE_FINALIZER
from media_core.settings import DNS_LABEL, ServiceSettings, load_or_exit
from media_operator.adapters.cluster import Cluster, ClusterError, Conflict, Expired, Kind, NotFound, Unavailable
from media_operator.rights import let_go

log = structlog.get_logger()

LOOK_SECONDS = 0.5
RETRY_SECONDS = 1.0
AT_ONCE = 16
ENDED = ("Succeeded", "Failed")
"""Phases of a pod whose containers have ended: one that was evicted stays as long as nobody deletes it."""
P = ParamSpec("P")
T = TypeVar("T")


class UninstallSettings(ServiceSettings):
    """What is to be taken down, and where it is."""

    operator_namespace: str = Field(
        alias="MEDIA_OPERATOR_NAMESPACE",
        description="Kubernetes namespace of the operator.",
        pattern=DNS_LABEL,
        examples=["media"],
    )
    operator_deployment: str = Field(
        alias="MEDIA_OPERATOR_DEPLOYMENT",
        description="Name of the operator's Deployment.",
        min_length=1,
        examples=["media-operator"],
    )
    metrics_apiservice: str | None = Field(
        None,
        alias="MEDIA_METRICS_APISERVICE",
        description="APIService to delete; none where metrics are not served by this release.",
        examples=["v1beta1.external.metrics.k8s.io"],
    )
    rights_name: str | None = Field(
        None,
        alias="MEDIA_RIGHTS_NAME",
        description="RoleBinding of the operator in the assets' namespace that is held; without it, none is.",
        min_length=1,
        examples=["media-operator"],
    )
    uninstall_seconds: int = Field(
        120,
        alias="MEDIA_UNINSTALL_SECONDS",
        description="Deadline for all of it.",
        ge=1,
        examples=["120"],
    )


def main() -> None:
    """Entry point of `media-uninstall`."""
    parser = argparse.ArgumentParser(
        prog="media-uninstall",
        description="Deletes the APIService, stops the operator, and takes its finalizer from every asset, so that "
        "all of it can be deleted. Media, rows and assets stay. Configured by environment variables.",
    )
    parser.parse_args()
    settings = load_or_exit(UninstallSettings)
    logs.configure(settings.log_level, component="uninstall")
    raise SystemExit(asyncio.run(uninstall(settings)))


async def uninstall(settings: UninstallSettings) -> int:
    """0 when the way is free; 1 when it is not, with a sentence in the log."""
    step = "connecting"
    try:
        async with asyncio.timeout(settings.uninstall_seconds), AsyncExitStack() as stack:
            assets = await Cluster.connect(settings.namespace)
            stack.push_async_callback(assets.close)
            operator = await Cluster.connect(settings.operator_namespace)
            stack.push_async_callback(operator.close)
            if settings.metrics_apiservice:
                step = f"deleting APIService {settings.metrics_apiservice}"
                await delete_api_service(operator, settings.metrics_apiservice)
            step = f"stopping Deployment {settings.operator_namespace}/{settings.operator_deployment}"
            await stop_operator(operator, settings.operator_deployment)
            step = f"taking the finalizer from the assets in {settings.namespace}"
            await free_assets(assets)
            if settings.rights_name:
                step = f"letting go of RoleBinding {settings.namespace}/{settings.rights_name}"
                await _patiently(let_go, assets, settings.rights_name)
    except TimeoutError:
        why = f"It was not done within {settings.uninstall_seconds} s"
    except ClusterError as error:
        why = f"The API server refused: {error}"
    else:
        log.info("uninstall_prepared")
        return 0
    log.error("uninstall_failed", step=step, message=f"{why}, while {step}. Nothing is lost; run it again.")
    return 1


async def delete_api_service(cluster: Cluster, name: str) -> None:
    """Without a server behind it, it would keep every namespace of the cluster from being deleted."""
    found = await _patiently(cluster.get, Kind.API_SERVICE, name)
    if found is not None:
        await _patiently(cluster.delete, Kind.API_SERVICE, name, found["metadata"]["uid"])
    log.info("apiservice_deleted", name=name, was_there=found is not None)


async def stop_operator(cluster: Cluster, name: str) -> None:
    """Scale it to 0 and wait until its last pod is gone: a running one would put the finalizers back."""
    zero = {"spec": {"replicas": 0}}
    try:
        await _patiently(cluster.merge, Kind.DEPLOYMENT, name, zero, subresource="scale")
    except NotFound:
        log.info("operator_stopped", deployment=name, was_there=False)
        return
    while (left := await _patiently(pods_left, cluster, name)) > 0:
        log.info("operator_stopping", deployment=name, pods=left)
        await asyncio.sleep(LOOK_SECONDS)
    log.info("operator_stopped", deployment=name, was_there=True)


async def pods_left(cluster: Cluster, name: str) -> int:
    """Pods of the Deployment: its status does not count those that are ending, and these write until they have."""
    deployment = await cluster.get(Kind.DEPLOYMENT, name)
    if deployment is None:
        return 0
    labels: Mapping[str, str] = deployment["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    pods = [pod async for page, _ in cluster.pages(Kind.POD, selector) for pod in page]
    alive = [pod for pod in pods if pod.get("status", {}).get("phase") not in ENDED]
    return max(int(deployment.get("status", {}).get("replicas", 0)), len(alive))


async def free_assets(cluster: Cluster) -> None:
    """Take our finalizer from every asset, and leave all others: pass after pass, until one finds none."""
    freed = skipped = 0
    while bodies := [body for body in await _patiently(_assets, cluster) if without_finalizer(body, PURGE_FINALIZER)]:
        gate = asyncio.Semaphore(AT_ONCE)
        done = await asyncio.gather(*(_free(cluster, body, gate) for body in bodies))
        freed += sum(done)
        skipped += sum(was and "deletionTimestamp" in body["metadata"] for was, body in zip(done, bodies, strict=True))
    if skipped:
        message = "These were being deleted; their media stay in object storage."
        log.warning("purge_skipped", assets=skipped, message=message)
    log.info("assets_freed", assets=freed)


async def _assets(cluster: Cluster) -> list[Mapping[str, Any]]:
    try:
        return [body async for page, _ in cluster.pages(Kind.ASSET) for body in page]
    except NotFound:
        log.info("assets_absent", message="There is no custom resource MediaAsset.")
        return []


async def _free(cluster: Cluster, body: Mapping[str, Any], gate: asyncio.Semaphore) -> bool:
    """Whether it lost our finalizer here. One that was written meanwhile is found by the next pass."""
    async with gate:
        try:
            patch = without_finalizer(body, PURGE_FINALIZER) or {}
            await _patiently(cluster.merge, Kind.ASSET, body["metadata"]["name"], patch)
        except (Conflict, NotFound):
            return False
        return True


async def _patiently(call: Callable[P, Awaitable[T]], *arguments: P.args, **named: P.kwargs) -> T:
    """The answer, as soon as the API server gives one; the deadline is that of the whole."""
    while True:
        try:
            return await call(*arguments, **named)
        except (Unavailable, Expired) as error:
            log.warning("api_server_waited_for", error=str(error))
            await asyncio.sleep(error.retry_after or RETRY_SECONDS)


if __name__ == "__main__":
    main()
