"""Everything a worker process meets, for tests: an API server, object storage that can fail, a decoder that obeys.

`Desk` plays the operator's part alone; `Site` adds the rest and starts the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import aiohttp

from media_core.asset import AssetSpec, AssetType, Source, asset_manifest
from media_core.keys import original_key
from media_core.names import ASSETS, GROUP, VERSION
from media_core.shape import timestamp
from media_devcluster.embedded.cluster import EmbeddedCluster
from support.moto_s3 import moto_s3
from support.s3_faults import FaultyS3

NAMESPACE = "default"
ASSETS_PATH = f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{ASSETS}"
RENDITIONS = '[{"name":"thumbnail","size":150},{"name":"medium","size":600},{"name":"large","size":1200}]'
OWNER = "alice"
CRDS = Path(__file__).parents[2] / "crds"
PASSED_THROUGH = ("PATH", "PYTHON", "COVERAGE_", "LANG")
Status = dict[str, Any]


@dataclass(slots=True)
class WorkerProcess:
    """A running `media-worker` and what it logged."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    _said: asyncio.Event = field(default_factory=asyncio.Event)

    def terminate(self) -> None:
        """As the kubelet asks a container to end."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """As a node that is lost."""
        self.process.kill()

    async def exit_code(self, seconds: float = 30.0) -> int:
        """Wait for its end."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of that event."""
        lines = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    async def says(self, event: str, seconds: float = 20.0) -> dict[str, Any]:
        """Wait until it logs that event; the first such line."""
        async with asyncio.timeout(seconds):
            while not self.logged(event):
                self._said.clear()
                await self._said.wait()
        return self.logged(event)[0]

    async def read(self) -> None:
        """Collect what it writes."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())
            self._said.set()


@dataclass(slots=True)
class Desk:
    """The operator's part: creates assets, binds them to one Job, and reads what came of them."""

    cluster: EmbeddedCluster
    http: aiohttp.ClientSession
    job: str

    async def create(self, asset_id: str, source: Source, asset_type: AssetType = AssetType.IMAGE) -> None:
        """An asset that is not bound."""
        spec = AssetSpec(asset_type=asset_type, source=source, owner=OWNER)
        await self.call("POST", "", asset_manifest(asset_id, NAMESPACE, spec))

    async def bind(self, asset_id: str, job: str | None = None) -> None:
        """As the operator binds: a higher binding, phase Scheduled."""
        status = (await self.asset(asset_id)).get("status") or {}
        change = {
            "phase": "Scheduled",
            "assignedJob": job or self.job,
            "binding": status.get("binding", 0) + 1,
            "attempts": 0,
            "conditions": [
                {
                    "type": "Succeeded",
                    "status": "Unknown",
                    "reason": "Bound",
                    "message": "",
                    "lastTransitionTime": timestamp(datetime.now(UTC)),
                }
            ],
        }
        await self.call("PATCH", f"/{asset_id}/status", {"status": change})

    async def delete(self, asset_id: str) -> None:
        """Ask for its deletion; our finalizer keeps it."""
        await self.call("DELETE", f"/{asset_id}")

    async def forget(self, asset_id: str) -> None:
        """Make it gone at once: with its finalizer it would be seen on its way out first."""
        await self.call("PATCH", f"/{asset_id}", {"metadata": {"finalizers": None}})
        await self.call("DELETE", f"/{asset_id}")

    async def asset(self, asset_id: str) -> dict[str, Any]:
        """The object as it is now."""
        return await self.call("GET", f"/{asset_id}")

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request to the API server, which must succeed."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        async with self.http.request(
            method,
            self.cluster.url + ASSETS_PATH + path,
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": kind},
        ) as answer:
            assert answer.status < 300, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def until(self, asset_id: str, true: Callable[[Status], bool], seconds: float = 20.0) -> Status:
        """The status as soon as it is so."""
        status: Status = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    status = (await self.asset(asset_id)).get("status") or {}
                    if true(status):
                        return status
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s; the status is {status}") from None

    async def phase(self, asset_id: str, phase: str, seconds: float = 20.0) -> Status:
        """The status as soon as the asset is in that phase."""
        return await self.until(asset_id, lambda status: status.get("phase") == phase, seconds)


@dataclass(slots=True)
class Site(Desk):
    """A desk with all that the Job's worker meets beside the API server."""

    s3: Any
    """A boto3 client that bypasses the faults."""
    faults: FaultyS3
    bucket: str
    socket: Path

    @contextlib.asynccontextmanager
    async def worker(self, **settings: str) -> AsyncIterator[WorkerProcess]:
        """A worker process of this site's Job; `settings` are environment variables."""
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name.startswith(("PATH", "PYTHON", "COVERAGE_", "LANG"))
            },
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "MEDIA_NAMESPACE": NAMESPACE,
            "MEDIA_JOB_NAME": self.job,
            "MEDIA_POD_NAME": f"{self.job}-x7k2p",
            "MEDIA_CONCURRENCY": "1",
            "MEDIA_PREFETCH": "2",
            "MEDIA_IDLE_SECONDS": "60",
            "MEDIA_RENDITIONS": RENDITIONS,
            "MEDIA_DECODER_SOCKET": str(self.socket),
            "MEDIA_STORAGE_PATIENCE_SECONDS": "1",
            "MEDIA_DECODER_PATIENCE_SECONDS": "2",
            "S3_BUCKET_MEDIA": self.bucket,
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_S3": self.faults.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            **settings,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "media_worker.main",
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        worker = WorkerProcess(process)
        reading = asyncio.create_task(worker.read())
        try:
            yield worker
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await worker.exit_code(10)
            if process.returncode is None:
                process.kill()
                await process.wait()
            await reading
            print("\n".join(worker.lines))

    async def upload(self, body: bytes = b"a picture", content_type: str = "image/jpeg", **source: Any) -> str:
        """An original in the bucket and its asset, not bound; returns the asset's id."""
        asset_id = uuid4()
        asset_type = AssetType.VIDEO if content_type.startswith("video/") else AssetType.IMAGE
        key = original_key(asset_type, OWNER, asset_id, content_type, datetime.now(UTC))
        stored = await asyncio.to_thread(self.s3.put_object, Bucket=self.bucket, Key=key, Body=body)
        fields: dict[str, Any] = {
            "bucket": self.bucket,
            "key": key,
            "etag": stored["ETag"].strip('"'),
            "size_bytes": len(body),
            "content_type": content_type,
            **source,
        }
        await self.create(str(asset_id), Source(**fields), asset_type)
        return str(asset_id)

    async def bound(self, **upload: Any) -> str:
        """An uploaded asset that is bound to this site's Job."""
        asset_id = await self.upload(**upload)
        await self.bind(asset_id)
        return asset_id

    def renditions(self, asset_id: str, kind: str = "image") -> dict[str, bytes]:
        """What is stored for it, by its path below the asset's folder."""
        prefix = f"processed/{kind}/{OWNER}/{asset_id}/"
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())
        return {
            item["Key"].removeprefix(prefix): self.s3.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read()
            for item in found
        }


@dataclass(slots=True)
class Ground:
    """A cluster and object storage, on which one site after the other is set up."""

    cluster: EmbeddedCluster
    upstream: str
    s3: Any
    bucket: str

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, data_dir: Path) -> AsyncIterator[Self]:
        """Both started, with an empty bucket."""
        bucket = f"media-{uuid4().hex[:8]}"
        with moto_s3(bucket) as server:
            async with EmbeddedCluster([CRDS / "mediaasset.yaml"], data_dir) as cluster:
                yield cls(cluster, server.url, server.client, bucket)

    @contextlib.asynccontextmanager
    async def site(self) -> AsyncIterator[Site]:
        """Surroundings of a Job that no test has used."""
        folder = Path(tempfile.mkdtemp(prefix="run-"))
        job = f"default-{uuid4().hex[:4]}-1"
        try:
            async with FaultyS3(self.upstream) as faults, aiohttp.ClientSession() as http:
                yield Site(self.cluster, http, job, self.s3, faults, self.bucket, folder / "decoder.sock")
        finally:
            self.cluster.faults.clear()
            shutil.rmtree(folder)


def why(status: Status) -> tuple[str, str, str]:
    """Truth, reason and message of the summary condition."""
    found = next(item for item in status["conditions"] if item["type"] == "Succeeded")
    return found["status"], found["reason"], found["message"]
