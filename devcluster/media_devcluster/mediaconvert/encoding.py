"""The ffmpeg command of a job: one decode for all outputs. Pure, so that its reading of settings can be tested."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from media_devcluster.mediaconvert.outputs import Film, Frame, Group, Output, Scaling, Stills, Work
from media_devcluster.mediaconvert.probing import ONLY_THE_FILE, Picture

THREADS = "2"
PRESET = "superfast"
"""Speed over looks: the double shows how jobs go, not what the service's encoder can do."""
GOP_SECONDS = 2.0
"""Where a job leaves it to the encoder."""
TURNS = {90: "transpose=clock", 180: "hflip,vflip", 270: "transpose=cclock"}
PROFILES = {"BASELINE": "baseline", "MAIN": "main", "HIGH": "high"}
BEST_QUALITY, WORST_QUALITY = 2, 31
"""ffmpeg's scale for JPEG."""


def command(work: Work, picture: Picture, sound: int | None, source: Path, folders: tuple[Path, ...]) -> list[str]:
    """What to execute; the outputs of each group go to its folder."""
    outputs = [
        (group, folder, output) for group, folder in zip(work.groups, folders, strict=True) for output in group.outputs
    ]
    arguments = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-progress", "pipe:1"]
    arguments += ["-filter_complex_threads", "1", *ONLY_THE_FILE, "-threads", THREADS]
    if work.rotate is not None:
        arguments.append("-noautorotate")
    arguments += ["-i", str(source), "-filter_complex", _graph(work, picture, [output for *_, output in outputs])]
    for at, (group, folder, output) in enumerate(outputs):
        arguments += ["-map", f"[v{at}]", *_mapped_sound(output, sound), "-map_metadata", "-1"]
        arguments += _written(group, folder, output, picture)
    return arguments


def _graph(work: Work, picture: Picture, outputs: list[Output]) -> str:
    """The picture, turned as the job says, split for the outputs, each scaled to its frame."""
    turn = f"{TURNS[work.rotate]}," if work.rotate in TURNS else ""
    pads = "".join(f"[s{at}]" for at in range(len(outputs)))
    branches = [f"[0:{picture.index}]{turn}split={len(outputs)}{pads}"]
    for at, output in enumerate(outputs):
        steps = [*_sampled(output, picture), *_scaled(output.frame), "setsar=1", "format=yuv420p"]
        branches.append(f"[s{at}]{','.join(steps)}[v{at}]")
    return ";".join(branches)


def _sampled(output: Output, picture: Picture) -> Iterator[str]:
    """At a constant rate, whatever the source's is, as the service does; or only the stills."""
    match output.video:
        case Film(rate=rate):
            yield f"fps={Fraction(*rate) if rate else picture.rate}"
        case Stills(numerator, denominator):
            yield f"select='isnan(prev_selected_t)+gte(t-prev_selected_t,{denominator / numerator:g})'"


def _scaled(frame: Frame) -> Iterator[str]:
    width, height = frame.width, frame.height
    if width is None or height is None:
        free = -2 if width or height else None
        across, down = width or free or "trunc(iw/2)*2", height or free or "trunc(ih/2)*2"
        yield f"scale={across}:{down}"
        return
    inside = "force_original_aspect_ratio=decrease:force_divisible_by=2"
    match frame.scaling:
        case Scaling.STRETCH_TO_OUTPUT:
            yield f"scale={width}:{height}"
        case Scaling.DEFAULT:
            yield f"scale={width}:{height}:{inside}"
            yield f"pad={width}:{height}:-1:-1"
        case Scaling.FIT:
            yield f"scale={width}:{height}:{inside}"
        case Scaling.FIT_NO_UPSCALE:
            yield f"scale='min({width},iw)':'min({height},ih)':{inside}"
        case Scaling.FILL:
            yield f"scale={width}:{height}:force_original_aspect_ratio=increase:force_divisible_by=2"
            yield f"crop={width}:{height}"


def _mapped_sound(output: Output, sound: int | None) -> list[str]:
    wanted = output.sound
    if wanted is None or sound is None:
        return ["-an"]
    channels = ["-ac", str(wanted.channels)] if wanted.channels else []
    coded = ["-c:a", "aac", "-b:a", str(wanted.bitrate), "-ar", str(wanted.sample_rate)]
    return ["-map", f"0:{sound}", *coded, *channels]


def _written(group: Group, folder: Path, output: Output, picture: Picture) -> list[str]:
    place = str(folder / output.name).replace("%", "%%")
    match output.video:
        case Stills() as stills:
            quality = round(WORST_QUALITY - (WORST_QUALITY - BEST_QUALITY) * stills.quality / 100)
            count = ["-frames:v", str(stills.limit)]
            still = [
                "-c:v",
                "mjpeg",
                "-q:v",
                str(quality),
                "-vsync",
                "passthrough",
                "-start_number",
                "0",
                "-f",
                "image2",
            ]
            return [*count, *still, f"{place}.%07d.{output.extension}"]
        case Film() as film:
            pass
    coded = ["-c:v", "libx264", "-preset", PRESET, "-threads", THREADS, *_rates(film), *_gop(film, picture)]
    if group.hls is None:
        front = ["-movflags", "+faststart"] if output.fast_start else []
        return [*coded, *front, "-f", "mp4", f"{folder / output.name}.{output.extension}"]
    whole = ["-hls_flags", "round_durations"] if group.hls.whole_durations else []
    listed = ["-f", "hls", "-hls_time", str(group.hls.segment_seconds), "-hls_playlist_type", "vod", *whole]
    cut = ["-hls_segment_type", "mpegts", "-start_number", "1", "-hls_segment_filename"]
    return [*coded, *listed, *cut, f"{place}_%05d.{output.extension}", f"{folder / output.name}.m3u8"]


def _rates(film: Film) -> Iterator[str]:
    if film.quality is not None:
        yield from ("-crf", f"{37 - 2 * film.quality:g}")
    elif film.bitrate is not None:
        yield from ("-b:v", str(film.bitrate))
    if film.max_bitrate is not None:
        yield from ("-maxrate", str(film.max_bitrate), "-bufsize", str(film.buffer_bits or 2 * film.max_bitrate))
    if film.profile in PROFILES:
        yield from ("-profile:v", PROFILES[film.profile])


def _gop(film: Film, picture: Picture) -> Iterator[str]:
    rate = Fraction(*film.rate) if film.rate else picture.rate
    seconds = film.gop_seconds or (film.gop_frames / float(rate) if film.gop_frames else GOP_SECONDS)
    yield from ("-g", str(max(1, round(seconds * rate))))
    yield from ("-force_key_frames", f"expr:gte(t,n_forced*{seconds:g})")
    if not film.scene_changes:
        yield from ("-sc_threshold", "0")
