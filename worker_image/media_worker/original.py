"""An original in memory that is no process's own: a file without a name, which other processes are given to read.

It is written once, as it is fetched, and sealed before anybody else sees it. A decoder that hostile bytes have taken
over can change nothing of it, so another attempt finds it as it was fetched.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from media_worker.decoder.handover import UNCHANGING


class Original:
    """Whoever has it closes it. Its memory is free when every process that was given the file has closed it, too."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        """What `parts` yields, one after the other. What they raise leaves nothing behind."""
        self.size = 0
        self.file = os.memfd_create("original", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            for part in parts:
                self._write(part)
            fcntl.fcntl(self.file, fcntl.F_ADD_SEALS, UNCHANGING | fcntl.F_SEAL_SEAL)
        except BaseException:
            self.close()
            raise

    @classmethod
    def of(cls, content: bytes) -> Self:
        """One with that content."""
        return cls((content,))

    def close(self) -> None:
        """This process needs it no more."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, part: bytes) -> None:
        """Not by a mapping: its pages would be cleared and faulted in one by one, which takes twice as long."""
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(self.file, rest) :]
        self.size += len(part)
