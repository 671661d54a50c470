"""A film to try things with, made on the spot: a test pattern with a running counter, and a tone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from media_devcluster.processes import StartFailed

NAME = "clip.mp4"
SECONDS = 20
MAKING_SECONDS = 120.0
PICTURES = ("-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=25:duration={SECONDS}")
SOUND = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}")
CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac")


async def make(path: Path) -> None:
    """Make it there. Raises StartFailed."""
    command = ("ffmpeg", "-nostdin", "-loglevel", "error", "-y", *PICTURES, *SOUND, *CODED, str(path))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(MAKING_SECONDS):
            _, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise StartFailed("ffmpeg", "could not make a film", tuple(complaint.decode(errors="replace").splitlines()))
