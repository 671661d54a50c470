"""The ffmpeg command of a film: one decoding, and everything that is made of it. Pure.

Every path is relative to the film's folder, which the program is started in: no name of a folder ever has to be
escaped for one of ffmpeg's small languages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from media_core.ladder import (
    GOP_SECONDS,
    LARGEST_SOURCE,
    SEGMENT_SECONDS,
    THUMBNAIL,
    VIDEO,
    Film,
    Rung,
    ladder,
    playlist_path,
    progressive,
    thumbnail_size,
)
from media_worker.transcoder.probing import Source, reading
from media_worker.transcoder.protocol import OUT

PRESET = "veryfast"
"""A film has half an hour on few processors; slower presets save bytes that only much watched films repay."""
CRF = "22"
"""Quality of the picture; the rung's bitrate caps it."""
BUFFER_SECONDS = 2
"""Over so long a time a rung keeps within its bitrate."""
JPEG_QUALITY = "3"
WAITING_PACKETS = "1000000"
"""Coded pictures may wait for the first sound, and the other way round; memory is their limit."""
BARE = ("-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size", WAITING_PACKETS)
"""Of an output: with nothing that the film tells of itself, as where it was taken."""
SAMPLE_RATE = "48000"


def transcode_command(source: Source, *, max_seconds: int, threads: int) -> tuple[str, ...]:
    """What to execute in the film's folder. It stops a second after the longest that a film may be."""
    film = source.film
    rungs = ladder(film)
    quiet = ("-nostdin", "-hide_banner", "-loglevel", "error", "-progress", "pipe:1", "-stats_period", "0.5")
    # However much of a file is damaged, what can be decoded is shown, as a player does.
    tolerant = ("-max_error_rate", "1")
    bounded = ("-threads", str(threads), "-max_pixels", str(LARGEST_SOURCE**2), "-t", str(max_seconds + 1))
    arguments = ["ffmpeg", *quiet, *tolerant, "-filter_complex_threads", str(threads), *bounded]
    arguments += [*reading(source.container), "-filter_complex", _pictures(source, rungs)]
    if source.sound is not None:
        # Apart, so that pictures do not wait in memory for sound that comes late or never.
        arguments += ["-filter_complex", _sounds(source.sound, len(rungs))]
    for at, rung in enumerate(rungs):
        arguments += ["-map", f"[v{at}]", *_coded_picture(source, rung, threads)]
        arguments += _coded_sound(at, rung)
        arguments += _written(rung, whole=rung == progressive(film))
    # The second picture replaces the first, which a film that ends too early is left with.
    still = ("-frames:v", "2", "-update", "1", "-c:v", "mjpeg", "-q:v", JPEG_QUALITY, "-vsync", "passthrough")
    arguments += ["-map", "[still]", *still, "-f", "image2", f"{OUT}/{THUMBNAIL}"]
    return tuple(arguments)


def key_frame_distance(source: Source) -> int:
    """In frames; never less than `GOP_SECONDS`, so that none falls short of the end of a segment."""
    return math.ceil(source.rate * GOP_SECONDS)


def _pictures(source: Source, rungs: tuple[Rung, ...]) -> str:
    """The picture, once at its constant rate from the film's beginning on, then in each size."""
    count = len(rungs)
    pads = "".join(f"[s{at}]" for at in range(count))
    shared = [*_mended(source), f"fps={source.rate}:start_time=0"]
    branches = [f"[0:{source.picture}]{','.join(shared)},split={count + 1}{pads}[s]"]
    for at, rung in enumerate(rungs):
        branches.append(f"[s{at}]scale={rung.width}:{rung.height},setsar=1,format=yuv420p[v{at}]")
    width, height = thumbnail_size(source.film)
    branches.append(f"[s]{_stills(source.film)},scale={width}:{height},setsar=1,format=yuvj420p[still]")
    return ";".join(branches)


def _sounds(stream: int, count: int) -> str:
    """The sound, from the film's beginning on, with silence where it has gaps."""
    pads = "".join(f"[a{at}]" for at in range(count))
    steady = f"aresample={SAMPLE_RATE}:async=1:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo"
    return f"[0:{stream}]{steady},asplit={count}{pads}"


def _mended(source: Source) -> Iterator[str]:
    if source.interlaced:
        yield "bwdif=mode=send_frame:deint=interlaced"
    if source.transfer is not None:
        yield f"zscale=tin={source.transfer}:min=bt2020nc:pin=bt2020:rin=tv:t=linear:npl=100"
        yield "format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0"
        yield "zscale=t=bt709:m=bt709:r=tv,format=yuv420p"


def _stills(film: Film) -> str:
    second = film.thumbnail_second
    return f"select='eq(n,0)+gte(t,{second})*lt(prev_selected_t,{second})'"


def _coded_picture(source: Source, rung: Rung, threads: int) -> Iterator[str]:
    distance = str(key_frame_distance(source))
    yield from ("-c:v", "libx264", "-preset", PRESET, "-profile:v", "high", "-crf", CRF, "-threads", str(threads))
    yield from ("-maxrate", str(rung.max_bitrate), "-bufsize", str(rung.max_bitrate * BUFFER_SECONDS))
    # On every rung the same frames are keys, and no others: there a player changes from one to the next.
    yield from ("-g", distance, "-keyint_min", distance, "-sc_threshold", "0")


def _coded_sound(at: int, rung: Rung) -> Iterator[str]:
    if rung.audio_bitrate:
        yield from ("-map", f"[a{at}]", "-c:a", "aac", "-b:a", str(rung.audio_bitrate))


def _written(rung: Rung, *, whole: bool) -> list[str]:
    """The rung's segments and playlist; its packets are the one-file film's as well where it has that one's size."""
    playlist = f"{OUT}/{playlist_path(rung.name)}"
    segmented = {
        "hls_time": str(SEGMENT_SECONDS),
        "hls_playlist_type": "vod",
        "hls_flags": "temp_file+independent_segments",
        "hls_segment_type": "mpegts",
        "start_number": "1",
        "hls_segment_filename": f"{OUT}/{_segment_pattern(rung)}",
        "protocol_whitelist": "file",
    }
    if not whole:
        options = [word for name, value in segmented.items() for word in (f"-{name}", value)]
        return [*BARE, "-f", "hls", *options, playlist]
    told = ":".join(f"{name}={value}" for name, value in {"f": "hls", **segmented}.items())
    one_file = f"[f=mp4:movflags=+faststart:protocol_whitelist=file]{OUT}/{VIDEO}"
    # MP4 keeps the decoder's parameters in its head, where the segments repeat them before each key frame.
    return [*BARE, "-flags", "+global_header", "-f", "tee", f"[{told}]{playlist}|{one_file}"]


def _segment_pattern(rung: Rung) -> str:
    return playlist_path(rung.name).removesuffix(".m3u8") + "_%05d.ts"
