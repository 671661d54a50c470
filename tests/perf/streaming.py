"""A large file to many clients at once: through this project's API, and through nginx in front of the same object.

In turn, so that both see the same minutes. The clients are one curl, which checks status and length of each answer.
nginx has as many processes as there are cores and keeps nothing on disk; the API is one process.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from media_devcluster.guessing import look_at
from media_devcluster.processes import Child, Command, free_port
from perf.environment import program
from perf.figures import Spread, compared
from perf.memory import measured, sampled
from perf.ours import Ours
from perf.race import NotDone, Tell
from perf.report import MIB
from perf.services import Turn, listens

SIZE_BYTES = 200_000_000
CLIENTS = 50
URL_SECONDS = 3600
TURN_SECONDS = 600
NGINX = """\
user root;
worker_processes auto;
pid nginx.pid;
error_log nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  proxy_max_temp_file_size 0;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {endpoint};
      proxy_set_header Host {host};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


@dataclass
class Streaming:
    """What all rounds found: bytes a second of all clients together, and how far above what it was before the first
    round the API's memory went."""

    clients: int
    size_bytes: int
    ours: list[float] = field(default_factory=list)
    nginx: list[float] = field(default_factory=list)
    grown_bytes: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As results.json has it."""
        return {
            "clients": self.clients,
            "size_bytes": self.size_bytes,
            "ours": Spread.of(self.ours).to_json(),
            "nginx": Spread.of(self.nginx).to_json(),
            "ratio": compared(self.ours, self.nginx).to_json(),
            "grown_bytes": max(self.grown_bytes),
        }


async def measure(
    ours: Ours, turn: Turn, rounds: int, tell: Tell, *, clients: int = CLIENTS, size_bytes: int = SIZE_BYTES
) -> Streaming:
    """Upload a file of that size, and let all clients read it whole in each round. Raises NotDone and NotInstalled."""
    tell(f"uploading {size_bytes / 1e6:.0f} MB")
    file = await asyncio.to_thread(_package, turn.folder / "large.zip", size_bytes)
    key = await _uploaded(ours, file)
    whole = file.stat().st_size
    found = Streaming(clients, whole)
    url = f"{ours.state.api_url}/media/stream/{key}"
    await _read(url, 1, whole)  # what is opened at the first use is there
    before = measured(ours.parts()["API"], 0).rss_bytes
    async with _nginx(turn) as proxy:
        direct = urlsplit(_presigned(turn, key))
        beside = f"{proxy}{direct.path}?{direct.query}"
        for number in range(1, rounds + 1):
            tell(f"{number} of {rounds}: {clients} clients read all of it, through nginx and through the API")
            found.nginx.append(await _read(beside, clients, whole))
            async with sampled(lambda: ours.parts()["API"]) as memory:
                found.ours.append(await _read(url, clients, whole))
            found.grown_bytes.append(memory.peak_rss - before)
            told = f"{found.ours[-1] / 1e6:.0f} MB/s, nginx {found.nginx[-1] / 1e6:.0f}"
            tell(f"{told}; the API is larger by {found.grown_bytes[-1] / MIB:.0f} MiB")
    return found


def _package(path: Path, size_bytes: int) -> Path:
    """Of bytes that nothing on the way could make fewer."""
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("imsmanifest.xml", "<manifest/>")
        package.writestr("content.bin", os.urandom(size_bytes))
    return path


async def _uploaded(ours: Ours, path: Path) -> str:
    """The key it has."""
    media = look_at(path)
    async with ours.client("streamer") as client:
        upload = await client.announce(media)
        await client.put(media, upload)
        await client.confirm(upload.asset_id)
    return upload.s3_key


def _presigned(turn: Turn, key: str) -> str:
    where = {"Bucket": turn.store.bucket, "Key": key}
    return str(turn.store.client().generate_presigned_url("get_object", Params=where, ExpiresIn=URL_SECONDS))


async def _read(url: str, clients: int, size_bytes: int) -> float:
    """Bytes a second of all clients together. Raises NotDone where one of them did not get the whole file."""
    curl = program("curl", "curl")
    options = ("--silent", "--parallel", "--parallel-max", str(clients), "--parallel-immediate")
    targets = [word for _ in range(clients) for word in ("--output", os.devnull, url)]
    command = (curl, *options, "--write-out", "%{http_code} %{size_download}\n", *targets)
    began = time.monotonic()
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=TURN_SECONDS, check=False
    )
    seconds = time.monotonic() - began
    wrong = [line for line in done.stdout.splitlines() if line != f"200 {size_bytes}"]
    if done.returncode != 0 or wrong:
        raise NotDone(f"curl ended with {done.returncode}; not the whole file: {wrong[:3]}")
    return clients * size_bytes / seconds


@asynccontextmanager
async def _nginx(turn: Turn) -> AsyncIterator[str]:
    """In front of the store of that turn; the address of it."""
    port, endpoint = free_port(), turn.store.endpoint
    rules = turn.folder / "nginx.conf"
    rules.write_text(NGINX.format(port=port, endpoint=endpoint, host=urlsplit(endpoint).netloc), encoding="ascii")
    options = ("-p", str(turn.folder), "-c", rules.name, "-e", "nginx.log", "-g", "daemon off;")
    command = Command(
        name="nginx",
        argv=(program("nginx", "nginx-light"), *options),
        log=turn.folder / "nginx.out",
        folder=turn.folder,
    )
    child = Child.start(command)
    try:
        await child.ready(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        await child.stop()
