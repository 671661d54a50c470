"""What the transcoder left in a film's folder, read as what it may be: the work of a hostile film.

Names are those of the ladder and no others. A file counts where it is an ordinary one with one name, and no link is
followed on the way to it; how many and how large they may be together is bounded. Playlists are shown to browsers, so
each of their lines must be one that a film of ours can have.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from media_core.ladder import HLS, MASTER, THUMBNAIL, VIDEO, is_segment, rung_of
from media_core.playlist import MOST_BYTES
from media_worker.film_folder import FOLDER

_SINGLE = frozenset({MASTER, VIDEO, THUMBNAIL})
_ATTRIBUTE = r'(?:(?:BANDWIDTH|AVERAGE-BANDWIDTH|RESOLUTION|FRAME-RATE)=[0-9x.]{1,24}|CODECS="[A-Za-z0-9.,]{1,64}")'
_LINE = re.compile(
    r"#EXTM3U|#EXT-X-INDEPENDENT-SEGMENTS|#EXT-X-DISCONTINUITY|#EXT-X-ENDLIST"
    r"|#EXT-X-(?:VERSION|TARGETDURATION|MEDIA-SEQUENCE):[0-9]{1,9}"
    r"|#EXT-X-PLAYLIST-TYPE:(?:VOD|EVENT)"
    r"|#EXTINF:[0-9]{1,9}(?:\.[0-9]{1,9})?,"
    rf"|#EXT-X-STREAM-INF:{_ATTRIBUTE}(?:,{_ATTRIBUTE})*"
    r"|master_[a-z0-9]{1,16}(?:\.m3u8|_[0-9]{5}\.ts)"
)


class TakingsRefused(Exception):
    """It is not what a transcoder leaves; the text says what is wrong, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Taking:
    """One file, open for reading, as large as it was when it was opened."""

    path: str
    file: int
    size: int


@dataclass(slots=True)
class Takings:
    """What lies below an open folder. `sizes` are the files opened so far."""

    out: int
    most_files: int
    most_bytes: int
    rungs: frozenset[str] = frozenset()
    """Of the film's ladder; known as soon as it is probed."""
    sizes: dict[str, int] = field(default_factory=dict)

    def new_segments(self) -> list[str]:
        """Paths of the segments that are there and were not opened yet, in order. Raises TakingsRefused."""
        found: list[str] = []
        with _below(self.out, HLS) as folder:
            if folder is None:
                return found
            with os.scandir(folder) as entries:
                for count, entry in enumerate(entries, start=1):
                    if count > self.most_files:
                        raise TakingsRefused(f"it holds more than {self.most_files} files")
                    path = f"{HLS}/{entry.name}"
                    if path not in self.sizes and any(is_segment(path, rung) for rung in self.rungs):
                        found.append(path)
        return sorted(found)

    @contextmanager
    def opened(self, path: str) -> Iterator[Taking]:
        """That file. Raises TakingsRefused where it is missing, or anything but an ordinary file."""
        if path not in _SINGLE and rung_of(path) is None:
            raise TakingsRefused(f"{path[:80]!r} is no file of a film")
        file = self._open(path)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise TakingsRefused(f"{path} is no ordinary file")
            if found.st_size == 0:
                raise TakingsRefused(f"{path} is empty")
            self.sizes[path] = found.st_size
            if sum(self.sizes.values()) > self.most_bytes:
                raise TakingsRefused(f"its files have more than {self.most_bytes} bytes together")
            yield Taking(path, file, found.st_size)
        finally:
            os.close(file)

    def playlist(self, path: str) -> str:
        """The text of a playlist that says nothing but what ours say. Raises TakingsRefused."""
        with self.opened(path) as taking:
            if taking.size > MOST_BYTES:
                raise TakingsRefused(f"{path} has {taking.size} bytes; {MOST_BYTES} are allowed")
            content = os.pread(taking.file, taking.size, 0)
        try:
            lines = content.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise TakingsRefused(f"{path} is no text") from None
        for line in lines:
            if line and not _LINE.fullmatch(line):
                raise TakingsRefused(f"{path} has a line that no playlist of ours has: {line[:80]!r}")
        return "\n".join(lines)

    def _open(self, path: str) -> int:
        folder, _, name = path.rpartition("/")
        with _below(self.out, folder) as parent:
            if parent is None:
                raise TakingsRefused(f"{path} is missing")
            try:
                # O_NONBLOCK: to open a pipe would otherwise wait for somebody at its other end.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                return os.open(name, flags, dir_fd=parent)
            except FileNotFoundError:
                raise TakingsRefused(f"{path} is missing") from None
            except OSError as error:
                raise TakingsRefused(f"{path} cannot be opened: {error.strerror}") from error


@contextmanager
def _below(out: int, folder: str) -> Iterator[int | None]:
    """The folder of that name, open; `out` itself for none. None where it is not there (yet)."""
    if not folder:
        yield out
        return
    try:
        file = os.open(folder, FOLDER, dir_fd=out)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise TakingsRefused(f"{folder} is no folder: {error.strerror}") from error
    try:
        yield file
    finally:
        os.close(file)
