"""The folder of a stack: claimed by one start at a time, emptied before it, cleaned after it.

Nothing in it outlives the stack but the logs: the cluster and S3 keep their objects in memory, so that a database of
an earlier run would speak of assets that are nowhere.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from media_devcluster.processes import StartFailed
from media_devcluster.state import FILE, State, whole

LOGS = "logs"
CLUSTER = "cluster"
DATA = ("postgres", "s3", "mediaconvert")


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the folder ready for a new stack, and keep other starts out of it until the end of the block.

    Raises StartFailed where a stack runs in it, where another start is at it, and where it cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise _unusable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _empty(folder)
        except BlockingIOError:
            raise StartFailed("media-dev", f"is being started in {folder} by another command") from None
        except OSError as error:
            raise _unusable(folder, error) from error
        yield


def discard(folder: Path) -> None:
    """Remove what is of no use once the stack is stopped; the logs stay for reading."""
    for name in DATA:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("kubeconfig", FILE):
        (folder / name).unlink(missing_ok=True)


def _empty(folder: Path) -> None:
    state = State.read(folder)
    if state is not None and (alive := state.children()):
        running = ", ".join(alive)
        raise StartFailed("media-dev", f"runs in {folder} already ({running})", advice="Stop it: media-dev down")
    if whole(state):
        raise StartFailed("media-dev", f"runs in {folder} already (kind)", advice="Stop it: media-dev down")
    discard(folder)
    for name in (LOGS, CLUSTER):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (LOGS, *DATA):
        (folder / name).mkdir()
    (folder / ".gitignore").write_text("*\n", encoding="ascii")


def _unusable(folder: Path, error: OSError) -> StartFailed:
    why = f"cannot use the folder {folder}: {error.strerror}"
    return StartFailed("media-dev", why, advice="Another one: --data-dir")
