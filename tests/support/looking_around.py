"""What a process in a container of a worker's pod finds there. Run inside it, by the image's own interpreter.

Takes {"secrets": {name: text}, "paths": [paths of the API server]} on standard input and writes what it found to
standard output. Needs nothing but the standard library; `tests/e2e/test_e2e_confinement.py` sends it in. It tries what
a container must refuse, and therefore does nothing where root runs it: that is no such container.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import ssl
import stat
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
OF_THE_KERNEL = ("/proc", "/sys")
MOST_BYTES = 8 << 20
TRUSTED = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters")
CLONE_NEWUSER = 0x10000000

libc = ctypes.CDLL(None, use_errno=True)


def look_around(secrets: dict[str, str], paths: Iterable[str]) -> dict[str, Any]:
    """All of it, by name."""
    return {
        "environment": dict(os.environ),
        "processes": {pid: process(pid) for pid in pids()},
        "pid": os.getpid(),
        "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid")},
        "root is read-only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
        "writable": sorted(writable("/")),
        "found": holders({name: text.encode() for name, text in secrets.items()}),
        "token": TOKEN.exists(),
        "outcomes": {name: outcome(attempt) for name, attempt in ATTEMPTS.items()},
        "answers": {path: asked(path) for path in paths},
    }


def pids() -> list[int]:
    """Every process that can be seen."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def process(pid: int) -> dict[str, Any]:
    """What its fellow can know of it."""
    folder = Path("/proc", str(pid))
    lines = (line.partition(":") for line in (folder / "status").read_text().splitlines())
    status = {name: value.strip() for name, _, value in lines}
    return {
        "command": (folder / "cmdline").read_text().split("\0")[:-1],
        "parent": int(status["PPid"]),
        "bounds": {name: status[name] for name in TRUSTED if name in status},
        "environment": outcome(lambda: (folder / "environ").read_bytes().decode()),
        "memory": outcome(lambda: (folder / "mem").open("rb").close()),
    }


def writable(top: str) -> Iterator[str]:
    """Folders in which something can be made, and other files that can be written, the topmost of each."""
    for entry in entries(top):
        with contextlib.suppress(OSError):
            mode = entry.stat(follow_symlinks=False).st_mode
            plain = stat.S_ISDIR(mode) or stat.S_ISREG(mode)
            if plain and os.access(entry.path, os.W_OK):
                yield entry.path
            elif stat.S_ISDIR(mode):
                yield from writable(entry.path)


def holders(texts: dict[str, bytes]) -> dict[str, list[str]]:
    """The files that have these bytes in them."""
    found: dict[str, list[str]] = {name: [] for name in texts}
    for path in files("/"):
        with contextlib.suppress(OSError):
            content = Path(path).read_bytes()
            for name, text in texts.items():
                if text in content:
                    found[name].append(path)
    return found


def files(top: str) -> Iterator[str]:
    """Every regular file that is small enough to be looked into."""
    for entry in entries(top):
        with contextlib.suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                yield from files(entry.path)
            elif entry.is_file(follow_symlinks=False) and entry.stat().st_size <= MOST_BYTES:
                yield entry.path


def entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in it, without what the kernel makes up."""
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        return [entry for entry in found if entry.path not in OF_THE_KERNEL]
    return []


def asked(path: str) -> int:
    """The API server's answer to this container with all it has: its token, where there is one."""
    request = urllib.request.Request(f"https://{os.environ['KUBERNETES_SERVICE_HOST']}{path}")
    if TOKEN.exists():
        request.add_header("Authorization", f"Bearer {TOKEN.read_text()}")
    try:
        with urllib.request.urlopen(request, timeout=10, context=ssl._create_unverified_context()) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def outcome(attempt: Callable[[], Any]) -> Any:
    """What it returned, or the name of the error it ended with."""
    try:
        return attempt()
    except OSError as error:
        return type(error).__name__ if type(error) is not OSError else os.strerror(error.errno or 0)


def called(result: int) -> str:
    """A call of the C library: raises what it failed with."""
    if result != 0:
        raise OSError(ctypes.get_errno(), "")
    return "done"


ATTEMPTS: dict[str, Callable[[], Any]] = {
    "become root": lambda: os.setuid(0),
    "a user namespace of its own": lambda: called(libc.unshare(CLONE_NEWUSER)),
    "a mount": lambda: called(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
    "a device": lambda: os.mknod("/tmp/device", stat.S_IFCHR | 0o600, os.makedev(1, 1)),
    "another root": lambda: os.chroot("/tmp"),
    "change the program": lambda: open(sys.executable, "ab").close(),
    "add to the program": lambda: Path(sys.prefix, "added").touch(),
}


if __name__ == "__main__":
    if os.geteuid() == 0:
        sys.exit("this is for the unprivileged user of a container")
    asking = json.load(sys.stdin)
    json.dump(look_around(asking["secrets"], asking["paths"]), sys.stdout)
