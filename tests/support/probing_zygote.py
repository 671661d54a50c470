"""A zygote whose children do as they are told: a payload `probe:<word>` is an order, all others are real images.

Started by the server exactly as the real one, so what a probe finds is what hostile code in a decoder would find.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from media_core.reasons import Reason
from media_worker.decoder import zygote
from media_worker.decoder.pipeline import render
from media_worker.decoder.protocol import Decoded, DecodeRefused, EncodedVariant, Request

PREFIX = b"probe:"
NOT_QUITE_A_WEBP = b"RIFF\0\0\0\0WEBP"


def segfault() -> None:
    """As a bug in a C library would."""
    ctypes.string_at(0)


def abort() -> None:
    """As an assertion in a C library would."""
    os.abort()


def leave() -> None:
    """End without a word."""
    os._exit(3)


def be_killed() -> None:
    """As the kernel does to a process that is out of memory."""
    ctypes.CDLL(None)["raise"](signal.SIGKILL)


def allocate() -> None:
    """More than any limit."""
    bytearray(1 << 40)


def spin() -> None:
    """Forever, with the processor."""
    while True:
        pass


def sleep() -> None:
    """Nearly forever, without it."""
    time.sleep(3600)


def break_down() -> None:
    """An error nobody thought of."""
    raise KeyError("a bug of ours")


def lie() -> None:
    """A reason that the decoder does not have."""
    raise DecodeRefused(Reason.COMPLETED, "All is well.")


def look_around() -> dict[str, Any]:
    """What a decoder child sees of the world."""
    attempts: Mapping[str, Callable[[], object]] = {
        "read a file": lambda: Path("/etc/hostname").read_bytes(),
        "write a file": lambda: Path("/tmp/decoder-was-here").touch(),
        "read the environment of its parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
        "read its own memory map": lambda: Path("/proc/self/maps").read_bytes(),
        "list a folder": lambda: os.listdir("/"),
        "open a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "open a unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        "signal its parent": lambda: os.kill(os.getppid(), 0),
        "fork": os.fork,
        "start a program": lambda: subprocess.run(["true"], check=True),
        "become root": lambda: os.setuid(0),
        "make a memory file": lambda: os.memfd_create("x"),
        "raise its own limits": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 50, 1 << 50)),
        "change the limits of its parent": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1)),
        "allocate beyond its memory": lambda: bytearray(2 << 30),
    }
    return {
        "environment": dict(os.environ),
        "descriptors": [number for number in range(1024) if _is_open(number)],
        "outcomes": {name: _outcome(attempt) for name, attempt in attempts.items()},
        "pid": os.getpid(),
    }


ORDERS: Mapping[str, Callable[[], dict[str, Any] | None]] = {
    "segfault": segfault,
    "abort": abort,
    "leave": leave,
    "be killed": be_killed,
    "allocate": allocate,
    "spin": spin,
    "sleep": sleep,
    "break down": break_down,
    "lie": lie,
    "look around": look_around,
    "say who": lambda: {"pid": os.getpid()},
}


def probe(file: BinaryIO, request: Request) -> Decoded:
    """Obey, or decode."""
    if file.read(len(PREFIX)) != PREFIX:
        return render(file, request)
    report = json.dumps(ORDERS[file.read().decode()]()).encode()
    variants = tuple(EncodedVariant(asked.name, 1, 1, NOT_QUITE_A_WEBP + report) for asked in request.renditions)
    return Decoded(1, 1, 1, "AAAA", "#000000", 1, variants)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (OSError, MemoryError, ValueError) as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    zygote.run(probe)
