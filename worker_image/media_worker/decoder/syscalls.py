"""The few system calls that a child still needs; every other one fails with EPERM (seccomp, in filter mode).

So whoever takes a decoder over through an image can open no file and no socket, start no process, not look into /proc
and signal nobody: what is left is the socket to the parent. The list is short because everything a child will ever
load was loaded by the zygote. Threads are allowed (the HEIC decoder insists on one), processes are not.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Mapping

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_CLONE_THREAD = 0x10000
_AT_NUMBER, _AT_ARCHITECTURE, _AT_FIRST_ARGUMENT, _AT_FIRST_ARGUMENT_HIGH = 0, 4, 16, 20


# Numbers on x86_64 and on aarch64.
ALLOWED: Mapping[str, tuple[int, int]] = {
    "brk": (12, 214),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "close": (3, 57),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "fstat": (5, 80),
    "futex": (202, 98),
    "getpid": (39, 172),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "lseek": (8, 62),
    "madvise": (28, 233),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "newfstatat": (262, 79),
    "pread64": (17, 67),
    "read": (0, 63),
    "readv": (19, 65),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "restart_syscall": (219, 128),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124),
    "sendmsg": (46, 211),
    "sendto": (44, 206),
    "set_robust_list": (273, 99),
    "sigaltstack": (131, 132),
    "sysinfo": (99, 179),
    "write": (1, 64),
    "writev": (20, 66),
}
CLONE = (56, 220)  # for threads only
FOR_ITSELF_ONLY: Mapping[str, tuple[int, int]] = {
    "prlimit64": (302, 261),  # processor time is counted anew for every image
    "tgkill": (234, 131),  # how abort() says that a library gave up
}
_CLONE3 = 435

_AUDIT_NAMES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables above, and how the kernel's filter calls the machine."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def program(machine: str, process: int) -> bytes | None:
    """The filter for that process in the kernel's own small language; None for a machine that is not in the tables."""
    if machine not in _AUDIT_NAMES:
        return None
    column, audit_name = _AUDIT_NAMES[machine]
    code = [
        _instruction(_LOAD, _AT_ARCHITECTURE),
        _instruction(_JUMP_IF_EQUAL, audit_name, if_so=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _AT_NUMBER),
    ]
    for numbers in ALLOWED.values():
        code += [_instruction(_JUMP_IF_EQUAL, numbers[column], if_not=1), _instruction(_RETURN, _ALLOW)]
    # clone3 hides its flags from filters: told that it does not exist, the C library takes clone instead.
    code += [_instruction(_JUMP_IF_EQUAL, _CLONE3, if_not=1), _instruction(_RETURN, _UNKNOWN)]
    code += _if_a_thread(CLONE[column])
    code += _if_about(0, FOR_ITSELF_ONLY["prlimit64"][column])
    code += _if_about(process, FOR_ITSELF_ONLY["tgkill"][column])
    return b"".join([*code, _instruction(_RETURN, _REFUSE)])


def restrict() -> bool:
    """Restrict this process for good; False where the machine or its kernel cannot. Needs no_new_privs."""
    code = program(os.uname().machine, os.getpid())
    if code is None:
        return False
    filter_ = _Program(len(code) // 8, code)
    return bool(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0) == 0)


def _if_a_thread(number: int) -> list[bytes]:
    return [
        _instruction(_JUMP_IF_EQUAL, number, if_not=4),
        _instruction(_LOAD, _AT_FIRST_ARGUMENT),
        _instruction(_JUMP_IF_SET, _CLONE_THREAD, if_not=1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _REFUSE),
    ]


def _if_about(process: int, number: int) -> list[bytes]:
    return [
        _instruction(_JUMP_IF_EQUAL, number, if_not=6),
        _instruction(_LOAD, _AT_FIRST_ARGUMENT_HIGH),
        _instruction(_JUMP_IF_EQUAL, 0, if_not=3),
        _instruction(_LOAD, _AT_FIRST_ARGUMENT),
        _instruction(_JUMP_IF_EQUAL, process, if_not=1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _REFUSE),
    ]


def _instruction(code: int, value: int, *, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)
