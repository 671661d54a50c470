"""Filters of system calls in the kernel's own small language (seccomp, in filter mode): the words they are made of.

Which calls a process may make is said where the process is: `syscalls` allows a child of the decoder a few,
`transcoder.syscalls` denies ffmpeg some.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable

Numbers = tuple[int, int]
"""A system call's number on x86_64 and on aarch64."""

ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_KILL, _UNKNOWN = 0x80000000, 0x00050000 | errno.ENOSYS
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AT_NUMBER, _AT_ARCHITECTURE, _AT_FIRST_ARGUMENT, _AT_FIRST_ARGUMENT_HIGH = 0, 4, 16, 20
_CLONE_THREAD = 0x10000
_CLONE3 = 435
_FIRST_OF_X32 = 0x40000000
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

_AUDIT_NAMES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Which of a call's numbers is the machine's, and how the kernel's filter calls the machine."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def column(machine: str) -> int | None:
    """Which of a call's numbers is that machine's; None for a machine that is not known."""
    return _AUDIT_NAMES[machine][0] if machine in _AUDIT_NAMES else None


def beginning(machine: str) -> bytes:
    """How every filter begins: calls in the manner of another machine kill, and x32's second set of numbers, which
    would get past a list of denied ones, is refused.
    """
    return b"".join(
        (
            _instruction(_LOAD, _AT_ARCHITECTURE),
            _instruction(_JUMP_IF_EQUAL, _AUDIT_NAMES[machine][1], if_so=1),
            _instruction(_RETURN, _KILL),
            _instruction(_LOAD, _AT_NUMBER),
            _instruction(_JUMP_IF_AT_LEAST, _FIRST_OF_X32, if_not=1),
            _instruction(_RETURN, REFUSE),
        )
    )


def each(numbers: Iterable[int], outcome: int) -> bytes:
    """These calls have that outcome."""
    return b"".join(_instruction(_JUMP_IF_EQUAL, number, if_not=1) + always(outcome) for number in numbers)


def no_clone3() -> bytes:
    """clone3 hides its flags from filters: told that it does not exist, the C library takes clone instead."""
    return each([_CLONE3], _UNKNOWN)


def if_a_thread(number: int) -> bytes:
    """clone is allowed for threads and refused for processes."""
    return b"".join(
        (
            _instruction(_JUMP_IF_EQUAL, number, if_not=4),
            _instruction(_LOAD, _AT_FIRST_ARGUMENT),
            _instruction(_JUMP_IF_SET, _CLONE_THREAD, if_not=1),
            always(ALLOW),
            always(REFUSE),
        )
    )


def if_about(process: int, number: int) -> bytes:
    """A call whose first argument is a process is allowed about that one and refused about others."""
    return b"".join(
        (
            _instruction(_JUMP_IF_EQUAL, number, if_not=6),
            _instruction(_LOAD, _AT_FIRST_ARGUMENT_HIGH),
            _instruction(_JUMP_IF_EQUAL, 0, if_not=3),
            _instruction(_LOAD, _AT_FIRST_ARGUMENT),
            _instruction(_JUMP_IF_EQUAL, process, if_not=1),
            always(ALLOW),
            always(REFUSE),
        )
    )


def always(outcome: int) -> bytes:
    """Whatever came so far has that outcome."""
    return _instruction(_RETURN, outcome)


def enforce(code: bytes) -> bool:
    """Put this process under a filter for good; False where its kernel cannot. Needs no_new_privs."""
    filter_ = _Program(len(code) // 8, code)
    return bool(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0) == 0)


def _instruction(code: int, value: int, *, if_so: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_so, if_not, value)
