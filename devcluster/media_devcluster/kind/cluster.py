"""A cluster from outside: created, waited for, given images, deleted; each by one call of the program kind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from media_devcluster.folder import CLUSTER, LOGS
from media_devcluster.images.engines import Docker
from media_devcluster.kind.config import LOOPBACK, PORTS, cluster_name, configuration, node_image
from media_devcluster.kube import Kube, Refused
from media_devcluster.processes import Child, Command, StartFailed, inherited_environment

NAME = "kind cluster"
ENVIRONMENT = {"KIND_EXPERIMENTAL_PROVIDER": "docker"}
"""Else kind would look for Podman where Docker does not answer, and find other clusters there."""
CREATE_SECONDS = 900.0
READY_SECONDS = 180.0
LOAD_SECONDS = 300.0
DELETE_SECONDS = 120.0
ASK_SECONDS = 30.0
POLL_SECONDS = 0.5
WITHOUT_DOCKER = "Start Docker, or do without it: media-dev up --cluster local (Linux, root, Go)."


class KindCluster:
    """The one cluster of a stack's folder. Its kubeconfig is in that folder; a person's own one is never touched."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.name = cluster_name(folder)
        self.folder = folder.resolve() / CLUSTER
        self.kubeconfig = self.folder / "kubeconfig"
        self._log = folder.resolve() / LOGS / "cluster.log"
        self._program = program.resolve()

    async def start(self, images: Iterable[Path] = ()) -> None:
        """Create it with these images on it; when it returns, the node is Ready. Raises StartFailed.

        A cluster of this name is one that a killed start of this folder left, and is deleted first.
        """
        await self.stop()
        check_ports()
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "kind.json"
        config.write_text(json.dumps(configuration(self.name, node_image(os.environ)), indent=2), encoding="utf-8")
        await self._kind("create", "cluster", "--config", str(config), *self._which, seconds=CREATE_SECONDS)
        await asyncio.gather(self.load(images), self._ready())

    async def load(self, images: Iterable[Path]) -> None:
        """Put the images of these archives onto the node. Raises StartFailed."""
        for archive in images:
            named = ("--name", self.name)
            await self._kind("load", "image-archive", str(archive), *named, seconds=LOAD_SECONDS)

    async def stop(self) -> None:
        """Delete it, and no other. Harmless where it is not there. Raises StartFailed."""
        if await asyncio.to_thread(self.exists):
            await self._kind("delete", "cluster", *self._which, seconds=DELETE_SECONDS)
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def exists(self) -> bool:
        """Whether Docker has a cluster of this name, running or not. Raises StartFailed."""
        argv = (str(self._program), "get", "clusters")
        env = {**inherited_environment(), **ENVIRONMENT}
        try:
            done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StartFailed(NAME, f"cannot be looked for: {error}") from error
        if done.returncode != 0:
            lines = tuple(line for line in done.stderr.splitlines() if line.strip())
            raise StartFailed(NAME, "cannot be looked for", lines[-4:], "Does `docker ps` answer?")
        return self.name in done.stdout.split()

    @property
    def _which(self) -> tuple[str, ...]:
        """Without the kubeconfig named, kind would write into ~/.kube/config, and on deletion take out of it."""
        return ("--name", self.name, "--kubeconfig", str(self.kubeconfig))

    async def _kind(self, *arguments: str, seconds: float) -> None:
        """Run it to its end, both outputs to the cluster's log. Raises StartFailed with the log's last lines."""
        what = " ".join(arguments[:2])
        command = Command(
            name=NAME,
            argv=(str(self._program), *arguments),
            log=self._log,
            folder=self._log.parent,
            env=ENVIRONMENT,
        )
        child = Child.start(command)
        try:
            ended = await child.wait(seconds)
        finally:
            if child.alive:
                await child.stop()
        if not ended:
            raise StartFailed(NAME, f"waited {seconds:.0f} s for `kind {what}` in vain", child.tail())
        if child.exit_code != 0:
            raise StartFailed(NAME, f"failed at `kind {what}`", child.tail(), f"The whole log is {self._log}.")

    async def _ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not await self._is_ready():
            if time.monotonic() >= deadline:
                raise StartFailed(NAME, f"has no Ready node after {READY_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)

    async def _is_ready(self) -> bool:
        try:
            async with Kube.connect(self.kubeconfig) as kube:
                node = await kube.get(f"/api/v1/nodes/{self.name}-control-plane")
        except Refused:
            return False
        conditions = node.get("status", {}).get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def check_docker() -> None:
    """Raises StartFailed where no Docker daemon answers: kind's nodes are containers of Docker's."""
    if not Docker.answers():
        raise StartFailed(NAME, "needs Docker, and no Docker daemon answers", advice=WITHOUT_DOCKER)


def check_ports(ports: Iterable[int] = PORTS) -> None:
    """Raises StartFailed where one is in use: Docker would say so only after minutes, and not which."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                why = f"needs port {port} of {LOOPBACK}: {error.strerror}"
                raise StartFailed(NAME, why, advice=f"See who has it: ss -ltnp 'sport = :{port}'") from error


async def answers(kubeconfig: Path) -> bool:
    """Whether the API server of that kubeconfig answers."""
    if not await asyncio.to_thread(kubeconfig.is_file):
        return False
    try:
        async with Kube.connect(kubeconfig) as kube:
            await kube.get("/version")
    except Refused:
        return False
    return True
