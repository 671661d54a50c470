"""The system calls that ffmpeg and ffprobe are denied (seccomp, in filter mode): each fails with EPERM.

A list of what is denied, where the decoder's child has one of what is allowed: these programs load themselves and a
hundred libraries after the filter is in place. What is taken away is every way out: the network and other sockets,
other processes, links and devices among the files that are made, and the rarely used parts of the kernel that
privileges are won by. Threads are allowed, processes are not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from media_worker.decoder import seccomp
from media_worker.decoder.seccomp import Numbers

DENIED: Mapping[str, Numbers] = {
    # The network, and other processes by way of sockets.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "io_uring_setup": (425, 425),
    # Other processes.
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "setpgid": (109, 154),
    "setsid": (112, 157),
    "execveat": (322, 281),
    # Files that are more than bytes.
    "symlinkat": (266, 36),
    "linkat": (265, 37),
    "mknodat": (259, 33),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    # The system.
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "open_by_handle_at": (304, 265),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "swapon": (167, 224),
    "reboot": (169, 142),
}
DENIED_OF_OLD = (
    57,  # fork
    58,  # vfork
    86,  # link
    88,  # symlink
    90,  # chmod
    92,  # chown
    94,  # lchown
    133,  # mknod
)
"""Calls of x86_64 for which aarch64 has only their successors."""
CLONE: Numbers = (56, 220)
FOR_ITSELF_ONLY: Mapping[str, Numbers] = {
    "prlimit64": (302, 261),
    "tgkill": (234, 131),  # how abort() says that a library gave up
}


def program(machine: str, process: int) -> bytes | None:
    """The filter for that process; None for a machine that is not known."""
    column = seccomp.column(machine)
    if column is None:
        return None
    denied = [numbers[column] for numbers in DENIED.values()]
    return b"".join(
        (
            seccomp.beginning(machine),
            seccomp.each(denied if column else [*denied, *DENIED_OF_OLD], seccomp.REFUSE),
            seccomp.no_clone3(),
            seccomp.if_a_thread(CLONE[column]),
            seccomp.if_about(0, FOR_ITSELF_ONLY["prlimit64"][column]),
            seccomp.if_about(process, FOR_ITSELF_ONLY["tgkill"][column]),
            seccomp.always(seccomp.ALLOW),
        )
    )


def restrict() -> bool:
    """Restrict this process for good; False where the machine or its kernel cannot. Needs no_new_privs."""
    code = program(os.uname().machine, os.getpid())
    return code is not None and seccomp.enforce(code)
