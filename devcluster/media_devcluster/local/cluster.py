"""A node from outside: started in namespaces of its own, waited for, given images, broken on purpose, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import psutil

from media_devcluster.kube import Kube, Refused
from media_devcluster.local import cgroups, pki, programs
from media_devcluster.local import layout as place
from media_devcluster.local.layout import Layout
from media_devcluster.processes import Child, Command, StartFailed

NAME = "local cluster"
NODE_MODULE = "media_devcluster.local.node"
START_SECONDS = 60.0
READY_SECONDS = 60.0
IMPORT_SECONDS = 300.0
MAX_SOCKET_PATH = 100
PACKAGES = "apt-get install containerd runc containernetworking-plugins iptables conntrack iproute2 util-linux"


class LocalCluster:
    """One node in a folder. A machine has at most one: its networks and its control group are fixed."""

    def __init__(self, folder: Path, binaries: Mapping[str, Path]) -> None:
        """`binaries` are the programs of `programs.BUILT` by name."""
        self.layout = Layout(folder.resolve())
        self._binaries = {name: binaries[name].resolve() for name in programs.BUILT}
        self.child: Child | None = None

    @property
    def command(self) -> Command:
        """The node as a process of this machine: its end is the end of everything in it."""
        spaces = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--net")
        node = (sys.executable, "-m", NODE_MODULE)
        return Command(
            name=NAME,
            argv=("unshare", *spaces, "--", *node, str(self.layout.folder)),
            log=self.layout.logs / "node.log",
            folder=self.layout.folder,
            stop_signal=signal.SIGKILL,
            patience_seconds=START_SECONDS,
            advice=f"The programs' logs are in {self.layout.logs}.",
        )

    async def start(self, begin: Callable[[Command], Child] = Child.start, images: Iterable[Path] = ()) -> None:
        """Bring it up with these images on it; when it returns, the node is Ready. Raises StartFailed."""
        self._check()
        clean(self.layout)
        _check_networks()
        shutil.rmtree(self.layout.logs, ignore_errors=True)
        for folder in (self.layout.logs, self.layout.config / "cni", self.layout.data, self.layout.held):
            folder.mkdir(parents=True)
        pki.make(self.layout)
        for name, content in programs.files(self.layout, self._binaries).items():
            (self.layout.config / name).write_text(content, encoding="utf-8")
        cgroups.make()
        self.child = begin(self.command)
        await self._wire()
        await self.child.ready(self._started)
        await asyncio.gather(self._import(images), self._node_ready())

    async def stop(self) -> None:
        """End it with all that runs in it, and remove what is left of it. Harmless where nothing runs."""
        if self.child is not None:
            await self.child.stop()
        await asyncio.to_thread(clean, self.layout)

    def programs(self) -> dict[str, int]:
        """The node's own programs that run now, and their pids on this machine."""
        names = {*programs.BUILT, "containerd"}
        return {name: process.pid for process in self.processes() if (name := _called(process)) in names}

    def processes(self) -> Iterator[psutil.Process]:
        """Every process in it, those of the containers included."""
        if self.child is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            yield from psutil.Process(self.child.pid).children(recursive=True)

    def signal(self, program: str, number: signal.Signals) -> None:
        """Send one of the node's programs a signal; SIGSTOP and SIGCONT pause it and let it go on."""
        os.kill(self.programs()[program], number)

    @contextlib.contextmanager
    def held(self, program: str) -> Iterator[None]:
        """Kill one of the node's programs and keep it from being started again until the end of the block."""
        mark = self.layout.held / program
        mark.touch()
        try:
            self.signal(program, signal.SIGKILL)
            yield
        finally:
            mark.unlink()

    def _check(self) -> None:
        if os.geteuid() != 0:
            raise StartFailed(NAME, "needs root", advice="Without root: media-dev up (the embedded cluster).")
        missing = [name for name in programs.INSTALLED if shutil.which(name) is None]
        if missing or not (programs.CNI_PLUGINS / "bridge").exists():
            raise StartFailed(NAME, f"finds no {', '.join(missing) or 'CNI plugins'}", advice=PACKAGES)
        if len(str(self.layout.containerd_socket)) > MAX_SOCKET_PATH:
            raise StartFailed(NAME, f"cannot have a socket in {self.layout.folder}", advice="Choose a shorter path.")
        if (folder := running()) is not None:
            raise StartFailed(NAME, f"runs in {folder}, and a machine has at most one", advice="Stop that one first.")

    async def _wire(self) -> None:
        """The machine's end of the wire, once the node's network namespace is there, and the routes into it."""
        if self.child is None:
            return

        async def unshared() -> bool:
            return self._first() is not None

        await self.child.ready(unshared)
        inside = str(self._first())
        for argv in (
            ("ip", "link", "add", place.LINK_NAME, "type", "veth", "peer", "name", "link0", "netns", inside),
            ("ip", "address", "add", f"{place.LINK_OUTSIDE}/{place.LINK_BITS}", "dev", place.LINK_NAME),
            ("ip", "link", "set", place.LINK_NAME, "up"),
            ("ip", "route", "add", place.POD_NETWORK, "via", place.LINK_INSIDE),
            ("ip", "route", "add", place.SERVICE_NETWORK, "via", place.LINK_INSIDE),
        ):
            _output(*argv)

    def _first(self) -> int | None:
        """Pid of the node's first process, once it is in a network namespace of its own."""
        if self.child is None:
            return None
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            for process in psutil.Process(self.child.pid).children():
                if os.readlink(f"/proc/{process.pid}/ns/net") != os.readlink("/proc/self/ns/net"):
                    return int(process.pid)
        return None

    async def _started(self) -> bool:
        return self.layout.ready.exists()

    async def _node_ready(self) -> None:
        if self.child is not None:
            await self.child.ready(self._is_ready)

    async def _is_ready(self) -> bool:
        try:
            async with Kube.connect(self.layout.kubeconfig) as kube:
                node = await kube.get(f"/api/v1/nodes/{place.NODE}")
                await kube.get("/api/v1/namespaces/default/serviceaccounts/default")
        except Refused:
            return False
        conditions = node.get("status", {}).get("conditions") or []
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    async def _import(self, archives: Iterable[Path]) -> None:
        ctr = ("ctr", "--address", str(self.layout.containerd_socket), "--namespace", "k8s.io", "images", "import")
        await asyncio.gather(
            *(asyncio.to_thread(_output, *ctr, str(archive), seconds=IMPORT_SECONDS) for archive in archives)
        )


def running() -> str | None:
    """Folder of the node that runs on this machine, whoever started it."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if NODE_MODULE in words and words[0] == "unshare":
            return str(words[-1])
    return None


def clean(layout: Layout) -> None:
    """Remove what a node left that was ended or killed: processes in its control groups, the groups, its folder."""
    for pid in cgroups.members():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if Path("/sys/class/net", place.LINK_NAME).exists():
        _output("ip", "link", "delete", place.LINK_NAME)
    if left := cgroups.remove():
        raise StartFailed(NAME, f"could not remove the control groups {', '.join(map(str, left[:3]))}")
    for folder in (layout.data, layout.pki, layout.config, layout.held):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (layout.kubeconfig, layout.ready, *layout.folder.glob(f"{layout.containerd_socket.name}*")):
        file.unlink(missing_ok=True)


def _check_networks() -> None:
    taken = _output("ip", "-oneline", "route", "show")
    for network in (place.POD_NETWORK, place.SERVICE_NETWORK):
        if network in taken:
            raise StartFailed(NAME, f"needs the network {network}, to which this machine has a route")


def _called(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


def _output(*argv: str, seconds: float = 30.0) -> str:
    """What the command printed. Raises StartFailed with what it complained of."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise StartFailed(NAME, f"waited {seconds:.0f} s for {' '.join(argv[:4])} in vain") from None
    if done.returncode != 0:
        raise StartFailed(NAME, f"cannot {' '.join(argv[:4])}: {done.stderr.strip()[-400:]}")
    return done.stdout
