"""Helm as the stack and the tests use it: one program, one cluster, values as JSON, a deadline on every call."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media_devcluster.processes import StartFailed, inherited_environment

NAME = "helm"
WAIT_SECONDS = 180


class Helm:
    """The chart's releases on one cluster."""

    def __init__(self, program: Path, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._program = program

    async def install(
        self, release: str, namespace: str, chart: Path, values: Mapping[str, Any], *, seconds: int = WAIT_SECONDS
    ) -> str:
        """Install it, or upgrade what is there, and wait until all of it is ready. Raises StartFailed.

        What was changed by hand is taken back: on a cluster for trying things out the values are what counts.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            wait = ("--wait", "--timeout", f"{seconds}s", "--force-conflicts")
            where = ("--namespace", namespace, "--create-namespace")
            return await self.run("upgrade", "--install", release, str(chart), *where, "--values", file.name, *wait)

    async def uninstall(self, release: str, namespace: str, *, seconds: int = WAIT_SECONDS) -> str:
        """Remove it, and wait until it is gone. Raises StartFailed."""
        wait = ("--wait", "--timeout", f"{seconds}s")
        return await self.run("uninstall", release, "--namespace", namespace, *wait, seconds=seconds + 30)

    async def run(self, *arguments: str, seconds: float = WAIT_SECONDS + 30) -> str:
        """What it printed. Raises StartFailed with what it complained of."""
        env = {**inherited_environment(), "KUBECONFIG": str(self.kubeconfig), "HELM_NO_PLUGINS": "1"}
        process = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env,
        )
        try:
            async with asyncio.timeout(seconds):
                out, err = await process.communicate()
        except TimeoutError:
            raise StartFailed(NAME, f"{arguments[0]} took more than {seconds:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            lines = tuple(err.decode(errors="replace").strip().splitlines()[-12:])
            raise StartFailed(NAME, f"{arguments[0]} failed: {lines[-1] if lines else process.returncode}", lines)
        return out.decode(errors="replace")


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values, key by key, as Helm puts them over each other."""
    found: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            known = found.get(key)
            if isinstance(known, Mapping) and isinstance(value, Mapping):
                found[key] = merged(known, value)
            else:
                found[key] = value
    return found
