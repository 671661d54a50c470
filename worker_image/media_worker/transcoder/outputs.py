"""A film's folder as the server sees it: the original's first bytes, and what lies in `out/`.

ffmpeg may have been taken over by the film, so nothing that it left is followed: no link is taken, only plain files
are opened, and only so much of them is read. It has ended by the time anything here is read or written for good.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from media_core.ladder import HLS, MASTER, Rung, playlist_path
from media_core.playlist import MOST_BYTES, PlaylistBroken, parse_media
from media_core.reasons import Reason
from media_worker.transcoder.containers import HEAD_BYTES
from media_worker.transcoder.master import Written, picture_codec
from media_worker.transcoder.protocol import ORIGINAL, OUT, TranscodeRefused

BLOCK_BYTES = 4096
"""What a file takes at least: so that endless empty files are too much as well."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Outputs:
    """Of the film in one folder."""

    folder: Path

    def prepare(self) -> bytes:
        """Make the folder of the segments; the original's first bytes. Raises TranscodeRefused."""
        try:
            with self._opened(OUT) as out:
                os.mkdir(HLS, 0o770, dir_fd=out)
            with self._opened() as folder:
                return _read(folder, ORIGINAL, HEAD_BYTES)
        except OSError as error:
            raise TranscodeRefused(
                Reason.INTERNAL_ERROR, f"The film's folder is not as it must be: {error.strerror}."
            ) from None

    def check(self, most: int) -> None:
        """Raises TranscodeRefused when there are more bytes than that."""
        total = 0
        for path in (OUT, f"{OUT}/{HLS}"):
            for size in self._sizes(path):
                total += max(size, BLOCK_BYTES)
                if total > most:
                    message = f"What is made of the video takes more than the {most} bytes that are allowed."
                    raise TranscodeRefused(Reason.TOO_LARGE, message)

    def written(self, rung: Rung) -> Written:
        """A rung as its playlist and its segments tell. Raises TranscodeRefused."""
        try:
            with self._opened(OUT, HLS) as hls:
                text = _read(hls, playlist_path(rung.name).rpartition("/")[2], MOST_BYTES).decode()
                segments = [
                    (each.seconds, os.stat(each.uri, dir_fd=hls, follow_symlinks=False).st_size, each.uri)
                    for each in parse_media(text).segments
                ]
                codec = picture_codec(_read(hls, segments[0][2], HEAD_BYTES))
        except (OSError, UnicodeDecodeError, PlaylistBroken, IndexError) as error:
            raise _incomplete(rung, str(error)) from None
        if codec is None:
            raise _incomplete(rung, "its first segment has no picture")
        return Written(rung, codec, tuple((seconds, size) for seconds, size, _ in segments))

    def put_master(self, text: str) -> None:
        """The last file; it is whole as soon as it can be seen. Raises OSError."""
        name = MASTER.rpartition("/")[2]
        with self._opened(OUT, HLS) as hls:
            with open(os.open(f"{name}.tmp", _NEW, 0o660, dir_fd=hls), "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(f"{name}.tmp", name, src_dir_fd=hls, dst_dir_fd=hls)

    def room_bytes(self) -> int:
        """Left on the disk."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def _sizes(self, path: str) -> Iterator[int]:
        """Of everything in a folder; what goes away meanwhile was renamed, and counts the next time."""
        with self._opened(*path.split("/")) as folder, os.scandir(folder) as entries:
            for entry in entries:
                try:
                    yield entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue

    @contextmanager
    def _opened(self, *path: str) -> Iterator[int]:
        """A folder below the film's."""
        descriptor = os.open(self.folder, _DIRECTORY)
        try:
            for name in path:
                above, descriptor = descriptor, os.open(name, _DIRECTORY, dir_fd=descriptor)
                os.close(above)
            yield descriptor
        finally:
            os.close(descriptor)


def _read(folder: int, name: str, most: int) -> bytes:
    with open(os.open(name, _PLAIN, dir_fd=folder), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, f"{name} is no plain file")
        return file.read(most)


def _incomplete(rung: Rung, why: str) -> TranscodeRefused:
    return TranscodeRefused(Reason.DECODER_CRASHED, f"The rung {rung.name} was left incomplete: {why}.")
