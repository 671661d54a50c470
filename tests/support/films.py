"""A transcoded film as the backends leave it, without a backend: files under their keys, and the row that is settled.

`made` needs the ffmpeg programs; `settled` needs only PostgreSQL and S3, and takes any files.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from media_core.keys import film_key
from media_core.ladder import MASTER, SEGMENT_SECONDS, THUMBNAIL, VIDEO, Film, Rung, ladder, playlist_path
from support.clips import ffmpeg


def made(original: Path, film: Film, folder: Path) -> dict[str, bytes]:
    """The files of a film, by their paths."""
    (folder / "hls").mkdir(parents=True)
    for rung in ladder(film):
        ffmpeg("-i", str(original), *_scaled(rung), *_segmented(rung, folder), str(folder / playlist_path(rung.name)))
    (folder / MASTER).write_text(master(ladder(film)), encoding="utf-8")
    ffmpeg("-i", str(original), *_scaled(ladder(film)[0]), "-movflags", "+faststart", str(folder / VIDEO))
    ffmpeg("-i", str(original), "-frames:v", "1", "-vf", "scale=640:-2", str(folder / THUMBNAIL))
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def master(rungs: tuple[Rung, ...]) -> str:
    """The playlist of playlists."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for rung in rungs:
        bandwidth = rung.max_bitrate + rung.audio_bitrate
        lines.append(f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={rung.width}x{rung.height}")
        lines.append(playlist_path(rung.name).removeprefix("hls/"))
    return "\n".join((*lines, ""))


@dataclass(frozen=True)
class Cinema:
    """One film, and what a backend would do with uploads of it."""

    database: asyncpg.Connection
    s3: Any
    bucket: str
    film: Film
    files: Mapping[str, bytes]

    async def processing(self, asset_id: str, percent: int) -> None:
        """It is so far."""
        await processing(self.database, asset_id, percent)

    async def settled(self, asset_id: str, *, but: str = "nothing") -> None:
        """All of it is there, but for the files whose names end so."""
        files = {path: content for path, content in self.files.items() if not path.endswith(but)}
        await settled(self.database, self.s3, self.bucket, asset_id, self.film, files)


async def settled(
    database: asyncpg.Connection, s3: Any, bucket: str, asset_id: str, film: Film, files: Mapping[str, bytes]
) -> None:
    """Put the files where they belong and tell the row, as the operator's mirror does."""
    owner = await database.fetchval("SELECT owner FROM media.assets WHERE id = $1", asset_id)
    for path, content in files.items():
        key = film_key(owner, asset_id, path)
        await asyncio.to_thread(s3.put_object, Bucket=bucket, Key=key, Body=content, ContentType="text/html")
    await database.execute(
        "UPDATE media.assets SET state = 'settled', transcode_status = 'COMPLETED', status = $2, settled_at = now(), "
        "reason = 'Completed', message = 'The film is transcoded.' WHERE id = $1",
        asset_id,
        json.dumps(completed_status(film, files)),
    )


async def processing(database: asyncpg.Connection, asset_id: str, percent: int) -> None:
    """Tell the row how far the transcoding is."""
    status = {"phase": "Processing", "binding": 1, "video": {"backend": "ffmpeg", "progressPercent": percent}}
    await database.execute(
        "UPDATE media.assets SET transcode_status = 'PROCESSING', status = $2, started_at = now(), "
        "reason = 'Transcoding', message = 'The film is being transcoded.' WHERE id = $1",
        asset_id,
        json.dumps(status),
    )


def completed_status(film: Film, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The status of a film of which that was made."""
    rungs = ladder(film)
    width, height = film.shown
    variants = [(rung.name, rung.width, rung.height, f"hls/master_{rung.name}_") for rung in rungs]
    variants += [("video", rungs[0].width, rungs[0].height, VIDEO), ("thumbnail", 640, 360, THUMBNAIL)]
    return {
        "phase": "Completed",
        "binding": 1,
        "video": {"backend": "ffmpeg", "progressPercent": 100, "durationSeconds": int(film.duration_seconds)},
        "result": {
            "width": width,
            "height": height,
            "variants": [
                {
                    "name": name,
                    "width": wide,
                    "height": high,
                    "bytes": sum(len(content) for path, content in files.items() if path.startswith(start)),
                }
                for name, wide, high, start in variants
            ],
        },
    }


def _scaled(rung: Rung) -> tuple[str, ...]:
    return (
        *(
            "-vf",
            f"scale={rung.width}:{rung.height}",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
        ),
        *("-force_key_frames", "expr:gte(t,n_forced*2)", "-c:a", "aac"),
    )


def _segmented(rung: Rung, folder: Path) -> tuple[str, ...]:
    segments = str(folder / "hls" / f"master_{rung.name}_%05d.ts")
    return (
        *("-f", "hls", "-hls_time", str(SEGMENT_SECONDS), "-hls_playlist_type", "vod", "-start_number", "1"),
        *("-hls_segment_filename", segments),
    )
