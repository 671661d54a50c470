"""Starting the double as a part of the local stack, and what the operator is told of it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from media_devcluster.mediaconvert.jobs import ACCOUNT
from media_devcluster.objectstore import S3
from media_devcluster.processes import Child, Command, StartFailed, free_port

NAME = "mediaconvert"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/media-dev"
POLL_SECONDS = "2"
"""Between two looks of the operator at its jobs: nobody is billed for calls here, and somebody is looking on."""
PROGRAMS = ("ffmpeg", "ffprobe")


def see_programs() -> None:
    """Raises StartFailed where this machine cannot transcode."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        advice = "Debian and Ubuntu: apt-get install ffmpeg. macOS: brew install ffmpeg."
        raise StartFailed("media-dev", f"finds no {' and no '.join(missing)} on PATH", advice=advice)


async def start(store: S3, folder: Path, log: Path, begin: Callable[[Command], Child]) -> str:
    """Start it, working in `folder`; its URL. Raises StartFailed."""
    module = (sys.executable, "-m", "media_devcluster.mediaconvert")
    command = Command(
        name=NAME,
        argv=(*module, "--s3-endpoint", store.endpoint, "--folder", str(folder), "--port", str(free_port())),
        log=log,
        folder=folder,
        env=store.environment,
        patience_seconds=30.0,
        stop_seconds=10.0,
    )
    child = begin(command)

    async def said_where() -> bool:
        return _announced(log) is not None

    await child.ready(said_where)
    return str(_announced(log))


def environment(url: str) -> Mapping[str, str]:
    """The operator's settings for it."""
    return {
        "MEDIACONVERT_ENDPOINT": url,
        "MEDIACONVERT_ROLE_ARN": ROLE,
        "MEDIA_VIDEO_POLL_SECONDS": POLL_SECONDS,
    }


def _announced(log: Path) -> str | None:
    """The line by which it says where it is."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    found = [line for line in lines if line.startswith('{"url"') and line.endswith("}")]
    return str(json.loads(found[0])["url"]) if found else None
