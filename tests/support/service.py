"""The whole service but its API, for tests of what happens when a part of it fails.

An embedded cluster with Jobs as processes, the real operator as a process, real workers and decoders, PostgreSQL,
and object storage behind a proxy that fails on demand. An upload is put where the API would have put it: its
original in the bucket, its row `confirmed`, and (as most times) its object in the cluster.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import psutil

from media_core.asset import AssetSpec, AssetType, Source, asset_manifest
from media_core.keys import original_key
from media_core.names import API_VERSION, ASSETS, GROUP, POOL_KIND, POOLS, VERSION
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from media_operator.main import Operator, wired
from media_operator.settings import OperatorSettings
from support.backends import Gate
from support.deadlines import eventually
from support.s3_faults import FaultyS3

NAMESPACE = "default"
OWN = f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
Object = dict[str, Any]
PIXELS_IN_HAND = 80 << 20
"""Resident bytes of a decoder from which on it must be decoding: the tests' slow picture alone has 126 MB."""


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class OperatorProcess:
    """`media-operator` as a process of its own. Started again it has its name still, as a container in its pod has."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.name = f"operator-{uuid4()}"
        self._environment = {"MEDIA_POD_NAME": self.name, **environment}
        self._log = log
        self.process: asyncio.subprocess.Process | None = None
        self.port = 0

    async def start(self, ready: str = "ok") -> None:
        """Start it and wait until it is ready: at work ("ok"), which is after it has listed all, or "standing by"."""
        self.port = free_port()
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "media_operator.main",
                env={**self._environment, "MEDIA_OPERATOR_PORT": str(self.port)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await self.until(ready)

    async def until(self, ready: str, seconds: float = 30.0) -> None:
        """Until /readyz says so."""

        async def so() -> bool:
            assert self.process is not None
            assert self.process.returncode is None, self.log()
            return await self.probe("readyz") == (200, f"{ready}\n")

        await eventually(so, seconds)

    async def probe(self, name: str) -> tuple[int, str]:
        """Status and text of one of its pages; 0 where it does not answer."""
        try:
            limit = aiohttp.ClientTimeout(total=5)
            url = f"http://127.0.0.1:{self.port}/{name}"
            async with aiohttp.ClientSession(timeout=limit) as http, http.get(url) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    async def ended(self, seconds: float = 15.0) -> int:
        """Its exit code, as soon as it has ended by itself."""
        assert self.process is not None
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """SIGKILL, SIGSTOP, SIGCONT."""
        assert self.process is not None
        self.process.send_signal(number)

    async def kill(self) -> None:
        """End it as the kernel does."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                async with asyncio.timeout(15):
                    await self.process.wait()
            except TimeoutError:
                await self.kill()
        code = self.process.returncode
        assert code is not None
        return code

    def log(self) -> str:
        """What it has written so far."""
        return self._log.read_text()

    def logged(self, event: str) -> list[Object]:
        """Its log lines of that event."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


class Clock:
    """The real time, moved forward on demand."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """From now on it is that much later."""
        self._ahead += timedelta(seconds=seconds)


class OperatorHere:
    """The operator in this process, with a clock that the test moves."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.clock = Clock()
        self.operator: Operator | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[int] | None = None

    async def start(self, **environment: str) -> None:
        """Start it and wait until it has listed its namespace."""
        settings = {
            **self._environment,
            **environment,
            "MEDIA_OPERATOR_PORT": str(free_port()),
            "MEDIA_OPERATOR_HOST": "127.0.0.1",
        }
        os.environ["KUBECONFIG"] = settings["KUBECONFIG"]
        known = {
            field.alias: settings[field.alias]
            for field in OperatorSettings.model_fields.values()
            if field.alias in settings
        }
        self._stop = asyncio.Event()
        started: asyncio.Future[Operator] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(OperatorSettings(**known), started))
        self.operator = await started
        async with asyncio.timeout(20):
            while not self.operator.world.complete:
                assert not self._task.done(), self._task.exception()
                await asyncio.sleep(0.02)

    async def _run(self, settings: OperatorSettings, started: asyncio.Future[Operator]) -> int:
        async with wired(settings, self.clock) as operator:
            started.set_result(operator)
            return await operator.run(self._stop)

    async def stop(self) -> None:
        """End it, as SIGTERM does."""
        self._stop.set()
        if self._task is not None:
            async with asyncio.timeout(15):
                assert await self._task == 0
            self._task = None

    def advance(self, seconds: float) -> None:
        """Later; everything is looked at again, as its own timers would have it."""
        assert self.operator is not None
        self.clock.advance(seconds)
        for asset in self.operator.world.assets:
            self.operator.queue.add(asset.name)
        for pool in self.operator.world.pools:
            self.operator.scheduler.mind(pool.name)


@dataclass
class Service:
    """One namespace with everything in it. Waiting methods fail after their deadline with what was seen last."""

    cluster: EmbeddedCluster
    http: aiohttp.ClientSession
    database: asyncpg.Pool
    gate: Gate
    """Shut, it takes PostgreSQL away from the operator; `database` goes around it."""
    s3: Any
    """A boto3 client that bypasses the faults."""
    storage: FaultyS3
    bucket: str
    here: OperatorHere
    """The operator in this process, where a test needs no other."""
    environment: dict[str, str]
    folder: Path
    operators: list[OperatorProcess] = field(default_factory=list)

    # --- what users do ---

    async def upload(
        self,
        data: bytes,
        *,
        owner: str = "alice",
        asset_type: AssetType = AssetType.IMAGE,
        content_type: str = "image/jpeg",
        create: bool = True,
        **spec: Any,
    ) -> str:
        """A confirmed upload: original, row and (with `create`) object. Returns the asset's id."""
        asset_id = uuid4()
        key = original_key(asset_type, owner, asset_id, content_type, datetime.now(UTC))
        stored = await asyncio.to_thread(
            self.s3.put_object, Bucket=self.bucket, Key=key, Body=data, ContentType=content_type
        )
        source = Source(
            bucket=self.bucket,
            key=key,
            etag=stored["ETag"].strip('"'),
            size_bytes=len(data),
            content_type=content_type,
        )
        await self.database.execute(
            "INSERT INTO media.assets (id, owner, asset_type, state, bucket, s3_key, content_type, etag, size_bytes,"
            " confirmed_at) VALUES ($1, $2, $3, 'confirmed', $4, $5, $6, $7, $8, now())",
            asset_id,
            owner,
            asset_type.value,
            self.bucket,
            key,
            content_type,
            source.etag,
            len(data),
        )
        if create:
            await self.create(str(asset_id), AssetSpec(asset_type=asset_type, owner=owner, source=source, **spec))
        return str(asset_id)

    async def create(self, asset_id: str, spec: AssetSpec) -> None:
        """The object, as the API creates it."""
        await self.call("POST", f"{OWN}/{ASSETS}", asset_manifest(asset_id, NAMESPACE, spec))

    async def delete(self, asset_id: str) -> None:
        """`kubectl delete ma`."""
        await self.call("DELETE", f"{OWN}/{ASSETS}/{asset_id}")

    async def delete_by_ledger(self, asset_id: str) -> None:
        """The first half of `DELETE /assets/{id}`: what is left when the API dies after it."""
        await self.database.execute(
            "UPDATE media.assets SET state = 'deleting', updated_at = now() WHERE id = $1", UUID(asset_id)
        )

    async def patch(self, asset_id: str, **parts: Any) -> None:
        """A merge patch on the asset."""
        await self.call("PATCH", f"{OWN}/{ASSETS}/{asset_id}", parts)

    async def pool(self, name: str = "default", **spec: Any) -> None:
        """Create the pool, or change its spec."""
        body = {"apiVersion": API_VERSION, "kind": POOL_KIND, "metadata": {"name": name}, "spec": spec}
        if await self.find(f"{OWN}/{POOLS}/{name}") is None:
            await self.call("POST", f"{OWN}/{POOLS}", body)
        else:
            await self.call("PATCH", f"{OWN}/{POOLS}/{name}", {"spec": spec})

    # --- what is there ---

    async def asset(self, asset_id: str) -> Object | None:
        """The object as it is now."""
        return await self.find(f"{OWN}/{ASSETS}/{asset_id}")

    async def status(self, asset_id: str) -> Object:
        """Its status; empty where there is none."""
        return ((await self.asset(asset_id)) or {}).get("status") or {}

    async def pool_condition(self, type_: str, name: str = "default") -> Object:
        """A condition of the pool; empty where there is none."""
        pool = await self.find(f"{OWN}/{POOLS}/{name}") or {}
        conditions = (pool.get("status") or {}).get("conditions") or []
        return next((item for item in conditions if item["type"] == type_), {})

    async def row(self, asset_id: str) -> asyncpg.Record | None:
        """Its row in the ledger."""
        return await self.database.fetchrow("SELECT * FROM media.assets WHERE id = $1", UUID(asset_id))

    async def jobs(self) -> list[Object]:
        """All worker Jobs, over or not."""
        found: list[Object] = (await self.call("GET", JOBS))["items"]
        return found

    async def pods(self) -> list[Object]:
        """All pods."""
        found: list[Object] = (await self.call("GET", f"{CORE}/pods"))["items"]
        return found

    async def events(self, asset_id: str) -> Counter[str]:
        """Reasons of the Kubernetes Events about it."""
        items = (await self.call("GET", f"{CORE}/events"))["items"]
        return Counter(item["reason"] for item in items if item["involvedObject"]["name"] == asset_id)

    def stored(self, asset_id: str) -> list[str]:
        """Every key in the bucket that belongs to it."""
        wanted = (asset_id, asset_id.replace("-", ""))
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return sorted(key for key in keys if any(mark in key for mark in wanted))

    def processes(self, command: str) -> list[psutil.Process]:
        """Processes of this cluster's pods that run that command of ours."""
        return [
            process
            for process in psutil.Process().children(recursive=True)
            if any(Path(word).name == command for word in _command_line(process)[:3])
        ]

    def busy_decoders(self) -> list[psutil.Process]:
        """The processes that have the pixels of a large image in hand."""
        return [
            child
            for decoder in self.processes("media-decoder")
            for zygote in decoder.children()
            for child in zygote.children()
            if child.status() != psutil.STATUS_ZOMBIE and child.memory_info().rss > PIXELS_IN_HAND
        ]

    # --- waiting ---

    async def until(self, asset_id: str, true: Callable[[Object], object], seconds: float = 30.0) -> Object:
        """Its status as soon as it is so."""
        status: Object = {}

        async def look() -> Object | None:
            nonlocal status
            status = await self.status(asset_id)
            return status if true(status) else None

        try:
            found = await eventually(look, seconds)
        except AssertionError:
            raise AssertionError(f"not within {seconds:g} s: {asset_id} has {json.dumps(status)}") from None
        assert found is not None
        return found

    async def phase(self, asset_id: str, *phases: str, seconds: float = 30.0) -> Object:
        """Its status as soon as it is in one of these phases."""
        return await self.until(asset_id, lambda status: status.get("phase") in phases, seconds)

    async def settled_row(self, asset_id: str, seconds: float = 30.0) -> asyncpg.Record:
        """Its row as soon as it is settled."""
        return await self.row_in(asset_id, "settled", seconds)

    async def row_in(self, asset_id: str, state: str, seconds: float = 30.0) -> asyncpg.Record:
        """Its row as soon as it is in that state."""

        async def look() -> asyncpg.Record | None:
            row = await self.row(asset_id)
            return row if row is not None and row["state"] == state else None

        found = await eventually(look, seconds)
        assert found is not None
        return found

    async def gone(self, asset_id: str, seconds: float = 30.0) -> None:
        """Until there is no such object."""

        async def look() -> bool:
            return await self.asset(asset_id) is None

        await eventually(look, seconds)

    async def working_on(self, asset_id: str, seconds: float = 30.0) -> psutil.Process:
        """The worker process that has begun with it, as soon as one has."""
        status = await self.phase(asset_id, "Processing", seconds=seconds)
        for process in self.processes("media-worker"):
            if process.environ().get("MEDIA_JOB_NAME") == status["assignedJob"]:
                return process
        raise AssertionError(f"no worker process of {status['assignedJob']}")

    # --- the API server ---

    async def call(self, method: str, path: str, body: Any = None, *, kind: str = "") -> Object:
        """One request to the API server, which must succeed."""
        kind = kind or ("application/merge-patch+json" if method == "PATCH" else "application/json")
        data = None if body is None else json.dumps(body)
        url = self.cluster.url + path
        async with self.http.request(method, url, data=data, headers={"Content-Type": kind}) as answer:
            assert answer.status < 300, f"{method} {path}: {answer.status} {await answer.text()}"
            found: Object = await answer.json()
            return found

    async def find(self, path: str) -> Object | None:
        """One object, or None."""
        async with self.http.get(self.cluster.url + path) as answer:
            if answer.status == 404:
                return None
            assert answer.status < 300, await answer.text()
            found: Object = await answer.json()
            return found

    async def operator_process(self, ready: str = "ok", **environment: str) -> OperatorProcess:
        """An operator as a process of its own, which can be killed and paused; `ready` as its `start` has it."""
        log = self.folder / f"operator-{len(self.operators)}.log"
        operator = OperatorProcess({**self.environment, **environment}, log)
        self.operators.append(operator)
        await operator.start(ready)
        return operator

    async def lease(self, name: str = "media-operator") -> Object:
        """Spec of the operators' Lease; empty where there is none."""
        found = await self.find(f"{LEASES}/{name}") or {}
        return found.get("spec") or {}


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@asynccontextmanager
async def running_service(
    crds: list[Path],
    folder: Path,
    *,
    database_url: str,
    gate: Gate,
    store: S3,
) -> AsyncIterator[Service]:
    """Everything started; stopped at the end, with the operator's log printed for a test that failed."""
    async with (
        EmbeddedCluster(crds, folder / "cluster") as cluster,
        aiohttp.ClientSession() as http,
        asyncpg.create_pool(database_url, min_size=1, max_size=4) as database,
        FaultyS3(store.endpoint) as storage,
    ):
        await database.execute("SELECT 1")
        settings = {
            **{key: value for key, value in os.environ.items() if key.startswith(("PATH", "COVERAGE_", "LANG"))},
            "KUBECONFIG": str(cluster.kubeconfig),
            "MEDIA_NAMESPACE": NAMESPACE,
            # An operator in this process shares its loop with the whole test, and nobody would start it again here.
            "MEDIA_LEASE_SECONDS": "100",
            "MEDIA_DATABASE_URL": gate.url(database_url),
            "S3_BUCKET_MEDIA": store.bucket,
            "AWS_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_S3": storage.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        service = Service(
            cluster,
            http,
            database,
            gate,
            store.client(),
            storage,
            store.bucket,
            OperatorHere(settings),
            settings,
            folder,
        )
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "media-s3"},
            "stringData": {
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "MEDIA_STORAGE_PATIENCE_SECONDS": "1",
            },
        }
        await service.call("POST", f"{CORE}/secrets", secret)
        try:
            yield service
        finally:
            await service.here.stop()
            for operator in service.operators:
                await operator.stop()
                print(operator.log()[-6000:])
