"""The zygote: has the imaging libraries in memory and forks a child whenever the server asks for one.

A process of its own because forking is only sound in a process with one thread and no event loop, and because it
starts from a fresh interpreter with an empty environment: there is nothing in its memory that a child should not see.
A child is ready in milliseconds, so a crash costs no more than the image that caused it.

Orders come as datagrams on the descriptor given as argument: {"spawn": n} with the child's end of a socket, or
{"kill": n}. News go back: {"ended": n, "status": s} with the status of wait(2). Only the zygote knows process ids,
and kills only what it has not yet reaped, so no order can ever hit a stranger. It ends, and its children with it,
when the server is gone.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress

from media_worker.decoder.child import Work, close_all_but, serve
from media_worker.decoder.confinement import Confinement, end_with_parent, hide

ORDER_BYTES = 4096
CHILD_ERROR = 70


class Zygote:
    """Serves the orders of one control socket."""

    def __init__(self, control: socket.socket, work: Work, bounds: Confinement) -> None:
        self._control = control
        self._work = work
        self._bounds = bounds
        self._numbers: dict[int, int] = {}
        """Children not yet reaped: process id and the number the server knows it by."""
        self._pid = os.getpid()

    def run(self) -> None:
        """Until the server is gone."""
        wake, waker = os.pipe()
        for end in (wake, waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for ignored in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ignored, signal.SIG_IGN)  # the server decides when to end
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake, select.POLLIN)
        serving = True
        while serving:
            for descriptor, _events in poll.poll():
                if descriptor == wake:
                    os.read(wake, 4096)
                else:
                    serving = self._obey()
            self._reap()
        for pid in self._numbers:
            os.kill(pid, signal.SIGKILL)

    def _obey(self) -> bool:
        text, descriptors, _flags, _address = socket.recv_fds(self._control, ORDER_BYTES, 1)
        if not text:
            return False
        order = json.loads(text)
        if "spawn" in order:
            self._spawn(order["spawn"], descriptors[0])
        else:
            self._kill(order["kill"])
        return True

    def _spawn(self, number: int, descriptor: int) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self._become_child(descriptor)
            finally:
                os._exit(CHILD_ERROR)
        os.close(descriptor)
        self._numbers[pid] = number

    def _become_child(self, descriptor: int) -> None:
        end_with_parent(self._pid)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        close_all_but(descriptor)
        with socket.socket(fileno=descriptor) as sock:
            serve(sock, self._work, self._bounds)
        os._exit(0)

    def _kill(self, number: int) -> None:
        for pid, known in self._numbers.items():
            if known == number:
                os.kill(pid, signal.SIGKILL)

    def _reap(self) -> None:
        while self._numbers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            number = self._numbers.pop(pid)
            with suppress(ConnectionError):  # the server has just gone; the next order says so
                self._control.send(json.dumps({"ended": number, "status": status}).encode())


def run(work: Work) -> None:
    """Be a zygote whose children do that work. Arguments: control descriptor, memory bytes, CPU seconds."""
    descriptor, memory_bytes, cpu_seconds = (int(argument) for argument in sys.argv[1:4])
    end_with_parent(os.getppid())
    hide()
    os.environ.clear()  # the interpreter itself adds a locale
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as control:
        Zygote(control, work, Confinement(memory_bytes, cpu_seconds)).run()


def main() -> None:
    """Entry point: `python -I -m media_worker.decoder.zygote`."""
    from media_worker.decoder.pipeline import render

    run(render)


if __name__ == "__main__":
    main()
