"""One job carried out: the input fetched, ffmpeg run over it, and what came out put where the job says."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from media_devcluster.mediaconvert import encoding, outputs, playlists, probing, programs
from media_devcluster.mediaconvert.errors import JobFailed
from media_devcluster.mediaconvert.outputs import Group, Work
from media_devcluster.mediaconvert.playlists import Variant
from media_devcluster.mediaconvert.probing import Picture, Source, Unreadable

CANNOT_OPEN, CANNOT_DECODE, CANNOT_WRITE, INTERNAL = 1010, 1030, 3400, 1999
JOB_SECONDS = 1800.0
CONTENT_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
}
UPLOADED = 99
"""Percent while outputs are being written to S3."""
AT_LAST = frozenset({".m3u8"})


class Phase(StrEnum):
    """What a job that is PROGRESSING does."""

    PROBING = "PROBING"
    TRANSCODING = "TRANSCODING"
    UPLOADING = "UPLOADING"


Told = Callable[[Phase, int], None]
"""Told of the phase and of the percent that are done. What it raises ends the job."""


@dataclass(frozen=True)
class Made:
    """What a job made: for each group the size and the length of its outputs, and warnings."""

    groups: tuple[tuple[tuple[int, int, int], ...], ...]
    """Width, height and milliseconds of each output."""
    warnings: tuple[str, ...]

    def to_details(self) -> list[dict[str, Any]]:
        """OutputGroupDetails as boto3 has them: sizes and lengths, and no paths."""
        return [
            {
                "OutputDetails": [
                    {"DurationInMs": length, "VideoDetails": {"WidthInPx": width, "HeightInPx": height}}
                    for width, height, length in group
                ]
            }
            for group in self.groups
        ]


async def transcode(settings: dict[str, Any], s3: Any, folder: Path, told: Told) -> Made:
    """Do it all. Raises JobFailed. `folder` is the job's own and empty."""
    work = outputs.read(settings)
    told(Phase.PROBING, 0)
    path = folder / "input"
    await fetched(s3, work.source, path)
    source = await _probed(work, path)
    assert source.picture is not None
    if work.rotate is None and not source.turns_itself:
        work = replace(work, rotate=0)
    told(Phase.TRANSCODING, 0)
    folders = tuple(folder / str(at) for at in range(len(work.groups)))
    for each in folders:
        each.mkdir()
    await _run(work, source, source.picture, path, folders, told)
    made = [await _finished(group, each) for group, each in zip(work.groups, folders, strict=True)]
    told(Phase.UPLOADING, UPLOADED)
    for group, each in zip(work.groups, folders, strict=True):
        await _upload(s3, group, each)
    silent = any(output.sound for group in work.groups for output in group.outputs) and source.sound is None
    return Made(tuple(made), ("The input has no audio: outputs are made without.",) if silent else ())


async def fetched(s3: Any, place: outputs.Place, path: Path) -> dict[str, Any]:
    """The object as a file; what S3 says of it. Raises JobFailed."""

    def fetch() -> dict[str, Any]:
        answer = s3.get_object(Bucket=place.bucket, Key=place.key)
        with path.open("wb") as file:
            shutil.copyfileobj(answer["Body"], file)
        return dict(answer)

    try:
        return await asyncio.to_thread(fetch)
    except (ClientError, BotoCoreError, OSError) as error:
        why = f"Unable to open input file [{place.url}]: [Failed probe/open: [{_said(error)}]]"
        raise JobFailed(CANNOT_OPEN, why) from error


async def _probed(work: Work, path: Path) -> Source:
    opening = f"Unable to open input file [{work.source.url}]: [Failed probe/open: "
    try:
        source = await probing.probe(path)
    except Unreadable as error:
        raise JobFailed(CANNOT_OPEN, f"{opening}[No parser found for container]]") from error
    except programs.Overdue as error:
        raise JobFailed(CANNOT_OPEN, f"{opening}[{error}]]") from error
    if source.picture is None:
        raise JobFailed(CANNOT_DECODE, f"No video track found in input file [{work.source.url}]")
    return source


async def _run(
    work: Work, source: Source, picture: Picture, path: Path, folders: tuple[Path, ...], told: Told
) -> None:
    def line(said: str) -> None:
        name, _, value = said.partition("=")
        if name == "out_time_us" and value.isdigit() and source.seconds:
            told(Phase.TRANSCODING, min(UPLOADED - 1, int(int(value) / 10_000 / source.seconds)))

    command = encoding.command(work, picture, source.sound, path, folders)
    try:
        ended = await programs.run(command, seconds=JOB_SECONDS, line=line)
    except programs.Overdue as error:
        raise JobFailed(INTERNAL, f"Transcoding was given up: {error}.") from error
    if ended.code != 0:
        raise JobFailed(CANNOT_DECODE, f"Video decoder or encoder error: {ended.errors}")


async def _finished(group: Group, folder: Path) -> tuple[tuple[int, int, int], ...]:
    """Look at what was made, and list it where it is HLS."""
    made, variants = [], []
    for output in group.outputs:
        first = await asyncio.to_thread(_first, folder, output.name)
        if first is None:
            raise JobFailed(CANNOT_DECODE, f"Nothing could be decoded for output {output.name}.")
        seen = await probing.probe(first, f"{probing.DEMUXERS},{probing.STILLS}")
        picture, length = seen.picture, seen.seconds
        assert picture is not None
        if group.hls is not None:
            variant, length = await asyncio.to_thread(_variant, folder, output.name, output.extension, seen)
            variants.append(variant)
        made.append((picture.width, picture.height, round(length * 1000)))
    if group.hls is not None:
        text = playlists.master(variants, resolutions=group.hls.resolutions)
        await asyncio.to_thread((folder / f"{group.name}.m3u8").write_text, text)
        if not group.hls.manifests:
            await asyncio.to_thread(_without_manifests, folder)
    return tuple(made)


def _first(folder: Path, name: str) -> Path | None:
    """The output's file, its first segment or its first still."""
    stems = (name, f"{name}_00001", f"{name}.0000000")
    return next((path for path in folder.iterdir() if path.suffix != ".m3u8" and path.stem in stems), None)


def _variant(folder: Path, name: str, extension: str, seen: Source) -> tuple[Variant, float]:
    """The variant's line, from its playlist, the size of its segments and the first one's streams."""
    lengths = playlists.durations((folder / f"{name}.m3u8").read_text())
    sizes = [(folder / f"{name}_{at:05}.{extension}").stat().st_size for at in range(1, len(lengths) + 1)]
    picture = seen.picture
    assert picture is not None
    stream = next(s for s in seen.found["streams"] if s["index"] == picture.index)
    total = sum(lengths)
    variant = Variant(
        uri=f"{name}.m3u8",
        peak=max(round(8 * size / (length or 1)) for size, length in zip(sizes, lengths, strict=True)),
        average=round(8 * sum(sizes) / (total or 1)),
        width=picture.width,
        height=picture.height,
        rate=float(picture.rate),
        profile=stream.get("profile", "High"),
        level=stream.get("level", 40),
        has_sound=seen.sound is not None,
    )
    return variant, total


def _without_manifests(folder: Path) -> None:
    for path in folder.glob("*.m3u8"):
        path.unlink()


async def _upload(s3: Any, group: Group, folder: Path) -> None:
    """Segments before the playlists that name them."""

    def put(path: Path) -> None:
        content_type = CONTENT_TYPES.get(path.suffix, "application/octet-stream")
        with path.open("rb") as body:
            s3.put_object(
                Bucket=group.folder.bucket, Key=group.folder.key + path.name, Body=body, ContentType=content_type
            )

    for path in _in_order(group, folder):
        try:
            await asyncio.to_thread(put, path)
        except (ClientError, BotoCoreError) as error:
            place = f"{group.folder.url}{path.name}"
            raise JobFailed(CANNOT_WRITE, f"Unable to write to output file [{place}]: [{_said(error)}]") from error


def _in_order(group: Group, folder: Path) -> Iterator[Path]:
    made = sorted(folder.iterdir())
    yield from (path for path in made if path.suffix not in AT_LAST)
    lists = [path for path in made if path.suffix in AT_LAST]
    yield from (path for path in lists if path.stem != group.name)
    yield from (path for path in lists if path.stem == group.name)


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        told = error.response["Error"]
        return f"{told.get('Code', '')}: {told.get('Message', '')}"
    return str(error) or type(error).__name__
