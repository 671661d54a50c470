"""The few system calls that a child still needs; every other one fails with EPERM (seccomp, in filter mode).

So whoever takes a decoder over through an image can open no file and no socket, start no process, not look into /proc
and signal nobody: what is left is the socket to the parent. The list is short because everything a child will ever
load was loaded by the zygote. Threads are allowed (the HEIC decoder insists on one), processes are not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from media_worker.decoder import seccomp
from media_worker.decoder.seccomp import Numbers

ALLOWED: Mapping[str, Numbers] = {
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
FOR_ITSELF_ONLY: Mapping[str, Numbers] = {
    "prlimit64": (302, 261),  # processor time is counted anew for every image
    "tgkill": (234, 131),  # how abort() says that a library gave up
}


def program(machine: str, process: int) -> bytes | None:
    """The filter for that process; None for a machine that is not known."""
    column = seccomp.column(machine)
    if column is None:
        return None
    return b"".join(
        (
            seccomp.beginning(machine),
            seccomp.each((numbers[column] for numbers in ALLOWED.values()), seccomp.ALLOW),
            seccomp.no_clone3(),
            seccomp.if_a_thread(CLONE[column]),
            seccomp.if_about(0, FOR_ITSELF_ONLY["prlimit64"][column]),
            seccomp.if_about(process, FOR_ITSELF_ONLY["tgkill"][column]),
            seccomp.always(seccomp.REFUSE),
        )
    )


def restrict() -> bool:
    """Restrict this process for good; False where the machine or its kernel cannot. Needs no_new_privs."""
    code = program(os.uname().machine, os.getpid())
    return code is not None and seccomp.enforce(code)
