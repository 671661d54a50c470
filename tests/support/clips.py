"""Clips made on the spot by ffmpeg: a test pattern with a running counter, and a tone.

For tests/video and tests/browser, which need the ffmpeg programs; everything else runs without them.
"""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAKING_SECONDS = 120
CODECS = {".webm": ("libvpx", "libvorbis")}
"""Video and sound by the file's extension, where they are not H.264 and AAC."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a clip is made of."""

    width: int
    height: int
    seconds: float
    fps: int
    audio: bool
    video: bool
    rotation: int
    uneven: bool
    extension: str
    options: tuple[str, ...]


def clip(
    folder: Path,
    name: str = "clip.mp4",
    *,
    width: int = 1280,
    height: int = 720,
    seconds: float = 4.0,
    fps: int = 25,
    audio: bool = True,
    video: bool = True,
    rotation: int = 0,
    uneven: bool = False,
    options: tuple[str, ...] = (),
) -> Path:
    """A film at `folder/name`; its extension says the container (mp4, mov, mkv, webm, …).

    `width` and `height` are those of the coded picture, `rotation` says by how many degrees it is to be turned
    clockwise to be shown. `uneven` leaves out frames, so that the rate varies. `options` go before the output.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(width, height, seconds, fps, audio, video, rotation, uneven, path.suffix, options)
    shutil.copyfile(_made(recipe), path)
    return path


def truncated(path: Path, keep: float = 0.5) -> Path:
    """The same file with only its first part left."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def probed(path: Path | str) -> dict[str, Any]:
    """What ffprobe says of a file or a playlist: format and streams."""
    command = ["ffprobe", "-v", "error", "-print_format", "json", "-show_format", "-show_streams", str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=MAKING_SECONDS)
    return json.loads(done.stdout)


def streams(path: Path | str, kind: str) -> list[dict[str, Any]]:
    """Its streams of a kind: "video" or "audio"."""
    return [stream for stream in probed(path)["streams"] if stream["codec_type"] == kind]


def key_frames(path: Path) -> list[float]:
    """The seconds of a film's or a playlist's key frames."""
    only = ("-select_streams", "v:0", "-skip_frame", "nokey", "-show_entries", "frame=pts_time", "-of", "csv=p=0")
    done = subprocess.run(
        ["ffprobe", "-v", "error", *only, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=MAKING_SECONDS,
    )
    return [float(line.strip(",")) for line in done.stdout.split()]


def pixel(path: Path, x: int, y: int) -> tuple[int, int, int]:
    """Red, green and blue of one in a film's first picture, or in a still."""
    one = ("-frames:v", "1", "-vf", f"format=rgb24,crop=1:1:{x}:{y}", "-f", "rawvideo", "pipe:1")
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(path), *one]
    done = subprocess.run(command, capture_output=True, check=True, timeout=MAKING_SECONDS)
    red, green, blue = done.stdout
    return red, green, blue


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg, which must go well."""
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAKING_SECONDS, check=False)
    assert done.returncode == 0, done.stderr


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """One for the session; it goes with the process."""
    return tempfile.TemporaryDirectory(prefix="media-clips-")


@functools.cache
def _made(recipe: Recipe) -> Path:
    """The clip of that recipe, made once in a session."""
    path = Path(tempfile.mkdtemp(dir=_folder().name)) / f"clip{recipe.extension}"
    if not recipe.rotation:
        ffmpeg(*_encoding(recipe), str(path))
        return path
    lying = path.with_stem("lying")
    ffmpeg(*_encoding(recipe), str(lying))
    # This metadata counts the other way round.
    ffmpeg("-i", str(lying), "-c", "copy", "-metadata:s:v:0", f"rotate={-recipe.rotation % 360}", str(path))
    return path


def _encoding(recipe: Recipe) -> list[str]:
    pictures, sound = CODECS.get(recipe.extension, ("libx264", "aac"))
    arguments: list[str] = []
    if recipe.video:
        size = f"size={recipe.width}x{recipe.height}:rate={recipe.fps}:duration={recipe.seconds}"
        # The other pattern has even sides only.
        pattern = "testsrc" if recipe.width % 2 or recipe.height % 2 else "testsrc2"
        arguments += ["-f", "lavfi", "-i", f"{pattern}={size}"]
    if recipe.audio:
        arguments += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={recipe.seconds}"]
    if recipe.video:
        arguments += ["-c:v", pictures, "-g", str(recipe.fps * 2)]
        arguments += ["-preset", "ultrafast"] if pictures == "libx264" else ["-deadline", "realtime", "-cpu-used", "8"]
        even = recipe.width % 2 == recipe.height % 2 == 0
        arguments += ["-pix_fmt", "yuv420p" if even or pictures != "libx264" else "yuv444p"]
        if recipe.uneven:
            arguments += ["-vf", "select='not(eq(mod(n,5),1)+between(mod(n,30),12,20))'", "-vsync", "vfr"]
    if recipe.audio:
        arguments += ["-c:a", sound]
    return [*arguments, *recipe.options]
