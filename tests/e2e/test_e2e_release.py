"""The life of a release: a second one beside the first, its upgrade, its rollback, its end, and the first one's end.

The second is installed from the packed chart, with its assets in a namespace of their own, on a database and a bucket
that it is given by Secrets: as the README says for production.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from media_devcluster.local.layout import NODE_ADDRESS
from media_devcluster.local.stack import CHART, S3_PORT
from media_devcluster.processes import StartFailed
from support.deadlines import eventually
from support.held_work import slow_picture
from support.site import KubectlFailed, Site

SAMPLES = Path(__file__).parents[2] / "samples"
Object = dict[str, Any]
SECOND, SECOND_ASSETS = "second", "second-assets"
APISERVICE = "v1beta1.external.metrics.k8s.io"


async def test_helm_test_uploads_a_picture_and_plays_it_back(site: Site) -> None:
    told = await site.helm.run("test", site.release, "--namespace", site.namespace, "--logs", "--timeout", "120s")
    assert "Succeeded" in told


async def test_builtin_metrics_are_refused_while_another_release_serves_them(site: Site) -> None:
    with pytest.raises(StartFailed) as refused:
        await site.helm.install(
            "other", "other", CHART, {**_second_values(site), "autoscaling": {"metrics": "builtin"}}
        )
    assert APISERVICE in "\n".join(refused.value.log)


async def test_a_chart_without_database_or_bucket_is_refused_with_a_sentence(site: Site) -> None:
    with pytest.raises(StartFailed) as refused:
        await site.helm.install("other", "other", CHART, {})
    assert "postgresql.existingSecret" in "\n".join(refused.value.log)


@pytest.fixture
async def second(site: Site, tmp_path: Path) -> AsyncIterator[Site]:
    """The second release, from the packed chart; its namespaces are gone afterwards."""
    await site.helm.run("package", str(CHART), "--destination", str(tmp_path))
    packed = tmp_path / f"media-{version('media-operator')}.tgz"
    await _prepared(site)
    await site.helm.install(SECOND, SECOND, packed, _second_values(site))
    where = {
        "namespace": SECOND_ASSETS,
        "api_url": await _service_url(site),
        "bucket": "second",
        "database_url": f"{site.state.database_url.rpartition('/')[0]}/second",
    }
    state = site.state.model_copy(update=where)
    try:
        yield Site(state, f"{SECOND}-media", site.kube, site.helm, site.node, site.values)
    finally:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SECOND_ASSETS}}
        await site.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))  # docs/operations.md: the hook works there
        await site.helm.run("uninstall", SECOND, "--namespace", SECOND, "--ignore-not-found", "--wait")
        await site.kubectl("delete", "namespace", SECOND, SECOND_ASSETS, "--ignore-not-found", "--timeout=90s")


@pytest.mark.timeout(400)
async def test_upgrade_and_rollback_keep_assets_and_uninstall_leaves_them_without_finalizer(
    site: Site, second: Site
) -> None:
    asset_id = await second.upload(SAMPLES / "sunset.jpg")
    await second.completed(asset_id)
    before = await second.status(asset_id)

    changed = {**_second_values(site), "pool": {"idleSeconds": 7}}
    await site.helm.install(SECOND, SECOND, CHART, changed)
    assert (await second.pool())["spec"]["idleSeconds"] == 7
    assert await second.status(asset_id) == before
    await second.completed(await second.upload(SAMPLES / "coffee.png"))

    await site.helm.run("rollback", SECOND, "1", "--namespace", SECOND, "--wait", "--timeout", "120s")
    assert (await second.pool())["spec"]["idleSeconds"] == 10
    assert await second.status(asset_id) == before

    await site.helm.uninstall(SECOND, SECOND)
    left = await second.asset(asset_id)
    assert left is not None
    assert left["status"] == before
    assert not left["metadata"].get("finalizers")
    names = {crd["metadata"]["name"] for crd in await site.objects("crds")}
    assert "mediaassets.media.docfliq.com" in names

    began = time.monotonic()
    await site.kubectl("delete", "namespace", SECOND, SECOND_ASSETS, "--timeout=60s")
    assert time.monotonic() - began < 60


@pytest.mark.timeout(300)
async def test_a_namespace_that_holds_assets_goes_within_60_s_with_their_media_and_nothing_else(
    site: Site, second: Site, tmp_path: Path
) -> None:
    """Its operator lives elsewhere; settled assets, one at work and one that waits are in it."""
    settled = await second.upload(SAMPLES / "sunset.jpg")
    await second.completed(settled)
    at_work = await second.upload(slow_picture(tmp_path))
    await second.phase(at_work, "Processing", "Completed")
    waiting = [await second.upload(SAMPLES / name) for name in ("coffee.png", "dandelion.jpg")]
    asset_ids = [settled, at_work, *waiting]
    other = await site.upload(SAMPLES / "sunset.jpg")

    began = time.monotonic()
    await site.kubectl("delete", "namespace", SECOND_ASSETS, "--timeout=60s")
    took = time.monotonic() - began

    assert took < 60
    for asset_id in asset_ids:
        assert await site.stored(asset_id, bucket="second") == []
        row = await second.row(asset_id)
        assert row is not None
        assert row["state"] == "deleted"
    await site.completed(other)
    with pytest.raises(KubectlFailed, match="NotFound"):
        await site.kubectl("get", "namespace", SECOND_ASSETS)


@pytest.mark.timeout(400)
async def test_uninstall_leaves_crds_and_assets_and_a_new_install_takes_them_up_again(site: Site) -> None:
    asset_id = await site.upload(SAMPLES / "sunset.jpg")
    await site.completed(asset_id)
    before = await site.status(asset_id)

    await site.helm.uninstall(site.release, site.namespace)
    try:
        left = await site.asset(asset_id)
        assert left is not None
        assert left["status"] == before
        assert not left["metadata"].get("finalizers")
        with pytest.raises(KubectlFailed, match="NotFound"):
            await site.kubectl("get", "apiservice", APISERVICE)
        await site.kubectl("create", "namespace", "empty")
        await site.kubectl("delete", "namespace", "empty", "--timeout=30s")
    finally:
        await site.helm.install(site.release, site.namespace, CHART, site.values)
        await site.reconnected()

    async def taken_up() -> bool:
        asset = await site.asset(asset_id)
        return bool(asset and asset["metadata"].get("finalizers"))

    await eventually(taken_up, 60, pause=0.5)
    assert (await site.status(asset_id))["binding"] == before["binding"], "it was not run again"
    await site.completed(await site.upload(SAMPLES / "coffee.png"))


def _second_values(site: Site) -> Object:
    return {
        **{name: site.values[name] for name in ("image", "workerImage")},
        "crds": {"enabled": False},
        "assets": {"namespace": SECOND_ASSETS},
        "api": {"replicas": 1, "jwt": {"existingSecret": "second-jwt"}},
        "operator": {"replicas": 1},
        "pool": dict(site.values["pool"]),
        "autoscaling": {"enabled": False},
        "postgresql": {"existingSecret": "second-database"},
        "s3": {
            "bucket": "second",
            "endpoint": f"http://{NODE_ADDRESS}:{S3_PORT}",
            "existingSecret": "second-s3",
            "workerExistingSecret": "second-s3",
            "ports": [S3_PORT],
        },
    }


async def _prepared(site: Site) -> None:
    """What the README asks for before the install: namespaces, a database, a bucket, and Secrets that tell of them."""
    store = await site.store()

    def bucket() -> None:
        client = store.client()
        if "second" not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket="second")

    await asyncio.to_thread(bucket)
    connection = await asyncpg.connect(site.state.database_url, timeout=10)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = 'second'"):
            await connection.execute("CREATE DATABASE second")
    finally:
        await connection.close()
    inside = (await site.secret(f"{site.release}-postgresql"))["MEDIA_DATABASE_URL"].rpartition("/")[0]
    inside = inside.replace(f"@{site.release}-postgresql:", f"@{site.release}-postgresql.{site.namespace}.svc:")
    keys = {"AWS_ACCESS_KEY_ID": store.access_key, "AWS_SECRET_ACCESS_KEY": store.secret_key}
    for namespace in (SECOND, SECOND_ASSETS):
        objects = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            _secret(namespace, "second-database", {"MEDIA_DATABASE_URL": f"{inside}/second"}),
            _secret(namespace, "second-s3", keys),
            _secret(namespace, "second-jwt", {"MEDIA_JWT_SECRET": site.state.token_secret}),
        ]
        for body in objects:
            await site.kubectl("apply", "-f", "-", stdin=json.dumps(body), namespace=namespace)


def _secret(namespace: str, name: str, values: dict[str, str]) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


async def _service_url(site: Site) -> str:
    service = (await site.objects("service", f"{SECOND}-media-api", namespace=SECOND))[0]
    return f"http://{service['spec']['clusterIP']}"
