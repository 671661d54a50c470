"""The first process inside a node's namespaces: mounts, network, programs, and their restart when one of them dies.

Started by `cluster.py` through unshare(1). Process 1 of a PID namespace inherits every orphan of it, so it does
nothing but reap; its child does the work. When process 1 ends, the kernel ends all the others.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from media_devcluster.local import layout as place
from media_devcluster.local.layout import Layout
from media_devcluster.local.programs import BINARIES, Program, programs

LINK = "link0"
LINK_SECONDS = 20.0
START_SECONDS = 60.0
RESTART_SECONDS = 1.0
POLL_SECONDS = 0.05
PORTS = {"etcd": ("127.0.0.1", 2379), "kube-apiserver": (place.NODE_ADDRESS, place.API_PORT)}


def main() -> None:
    """Entry point of `python -m media_devcluster.local.node`."""
    parser = argparse.ArgumentParser(description="The first process inside a local node. Started by media-dev.")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    worker = os.fork()
    if worker == 0:
        layout = Layout(given.folder)
        found = json.loads((layout.config / BINARIES).read_text(encoding="utf-8"))
        run(layout, {name: Path(path) for name, path in found.items()})
        raise SystemExit(1)
    raise SystemExit(_reap_until(worker))


def _reap_until(worker: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == worker:
            return os.waitstatus_to_exitcode(status)


def run(layout: Layout, binaries: Mapping[str, Path]) -> None:
    """Set the node up and keep its programs running until it is killed."""
    _mounts(layout)
    _network()
    table = programs(layout, binaries)
    running: dict[str, subprocess.Popen[bytes]] = {}
    for program in table:
        if program.after is not None:
            _wait_for_port(*PORTS[program.after])
        running[program.name] = _start(layout, program)
    layout.ready.write_text("started\n", encoding="ascii")
    while True:
        time.sleep(RESTART_SECONDS)
        for program in table:
            if running[program.name].poll() is None or (layout.held / program.name).exists():
                continue
            code = running[program.name].returncode
            print(json.dumps({"event": "program_restarted", "program": program.name, "code": code}), flush=True)
            running[program.name] = _start(layout, program)


def _mounts(layout: Layout) -> None:
    """Everything mounted from here on is seen by the pods and by nobody outside."""
    logs = layout.data / "var-log"
    logs.mkdir(parents=True, exist_ok=True)
    _do("mount", "--make-rshared", "/")
    _do("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    _do("mount", "--bind", str(logs), "/var/log")
    # Images are unpacked anew at every start: in memory that takes a fraction of the time, and leaves nothing behind.
    layout.containerd_root.mkdir(parents=True, exist_ok=True)
    _do("mount", "-t", "tmpfs", "-o", "mode=711", "tmpfs", str(layout.containerd_root))
    for folder in ("/run/netns", "/run/lock"):
        Path(folder).mkdir(parents=True, exist_ok=True)


def _network() -> None:
    """The bridge of the pods, and the wire to the machine once it is there."""
    bits = place.POD_NETWORK.split("/")[1]
    _do("ip", "link", "set", "lo", "up")
    _do("ip", "link", "add", "cni0", "type", "bridge")
    _do("ip", "address", "add", f"{place.NODE_ADDRESS}/{bits}", "dev", "cni0")
    _do("ip", "link", "set", "cni0", "up")
    deadline = time.monotonic() + LINK_SECONDS
    while not Path("/proc/self/net/dev").read_text(encoding="ascii").count(f"{LINK}:"):
        if time.monotonic() > deadline:
            raise SystemExit(f"no {LINK} after {LINK_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    _do("ip", "address", "add", f"{place.LINK_INSIDE}/{place.LINK_BITS}", "dev", LINK)
    _do("ip", "link", "set", LINK, "up")
    _do("ip", "route", "add", "default", "via", place.LINK_OUTSIDE)
    for name in ("ip_forward", "conf/all/route_localnet"):
        Path(f"/proc/sys/net/ipv4/{name}").write_text("1", encoding="ascii")


def _start(layout: Layout, program: Program) -> subprocess.Popen[bytes]:
    with (layout.logs / f"{program.name}.log").open("ab") as output:
        return subprocess.Popen(
            program.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )


def _wait_for_port(host: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.create_connection((host, port), timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"nothing listens on {host}:{port} after {START_SECONDS:.0f} s") from None
        time.sleep(POLL_SECONDS)


def _do(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
