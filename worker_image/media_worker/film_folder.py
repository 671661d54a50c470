"""The folder of one film on the disk that worker and transcoder share: made before it, removed after it.

Both run as the same user, so whatever a hostile film has taken over may have changed everything below the shared
folder. Nothing here follows a link, and removing copes with any depth and any permissions.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from media_worker.transcoder.protocol import ORIGINAL, OUT

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_ROUNDS = 10_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FilmFolder:
    """The two places of a film, open since they were made: nothing can be put in their place."""

    name: str
    original: int
    """Open for writing, and empty."""
    out: int
    """What the transcoder makes lies below it."""


@contextmanager
def film_folder(shared: Path, name: str) -> Iterator[FilmFolder]:
    """A folder for that film, in an otherwise empty shared one, which is empty again afterwards. Raises OSError."""
    root = os.open(shared, FOLDER)
    try:
        clear(root)
        try:
            with _made(root, name) as folder:
                yield folder
        finally:
            _clear_or_say(root)
    finally:
        os.close(root)


@contextmanager
def _made(root: int, name: str) -> Iterator[FilmFolder]:
    # Read and written by the group as well, which is all that the two containers are promised to have in common.
    os.mkdir(name, dir_fd=root)
    opened = [film := os.open(name, FOLDER, dir_fd=root)]
    try:
        os.fchmod(film, 0o770)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        opened.append(original := os.open(ORIGINAL, flags, 0o660, dir_fd=film))
        os.mkdir(OUT, dir_fd=film)
        opened.append(out := os.open(OUT, FOLDER, dir_fd=film))
        os.fchmod(out, 0o770)
        yield FilmFolder(name, original, out)
    finally:
        for file in opened:
            os.close(file)


def _clear_or_say(root: int) -> None:
    """What came of the film stays true; what is left of it is in the way of the next one, which clears again."""
    try:
        clear(root)
    except OSError as error:
        log.error("film_left_on_disk", error=str(error))


def clear(root: int, rounds: int = MOST_ROUNDS) -> None:
    """Remove everything in an open folder. Raises OSError, also where somebody goes on filling it.

    Folders in folders are moved up before they are emptied, so that no depth needs as many open files.
    """
    for _ in range(rounds):
        entries = os.listdir(root)
        if not entries:
            return
        for entry in entries:
            if _is_folder(root, entry):
                _empty(root, entry)
                os.rmdir(entry, dir_fd=root)
            else:
                os.unlink(entry, dir_fd=root)
    raise OSError(f"It is not empty after {rounds} rounds.")


def _empty(root: int, name: str) -> None:
    folder = _unlocked(root, name)
    try:
        for entry in os.listdir(folder):
            if _is_folder(folder, entry):
                os.close(_unlocked(folder, entry))
                os.rename(entry, f"removed-{secrets.token_hex(8)}", src_dir_fd=folder, dst_dir_fd=root)
            else:
                os.unlink(entry, dir_fd=folder)
    finally:
        os.close(folder)


def _is_folder(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _unlocked(parent: int, name: str) -> int:
    """The folder, open and writable. There is no chmod that follows no link, so it goes by way of an O_PATH handle."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{handle}", 0o700)
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(handle)
