"""What a file is, by ffprobe: for the service's Probe, and for the transcoding to know what it has before it.

Only containers that the service reads are opened, and nothing but the file itself: a playlist that calls itself a
film is refused before anything it names is looked at.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from media_devcluster.mediaconvert import programs

PROBE_SECONDS = 60.0
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,mxf,asf,ogg,mp3,flac,wav,aac,ac3,eac3"
STILLS = "image2,jpeg_pipe"
ONLY_THE_FILE = ("-protocol_whitelist", "file", "-format_whitelist", DEMUXERS)

FORMATS = {"mpeg": "mpegps", "wav": "wave"}
BRANDS = {"qt  ": "quicktime", "3gp": "three_gp", "3g2": "three_g2"}
CODECS = {
    "h264": "AVC",
    "hevc": "HEVC",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg4": "MP4V",
    "theora": "THEORA",
    "mpeg2video": "MPEG2",
    "mpeg1video": "MPEG1",
    "prores": "PRORES",
    "mjpeg": "MJPEG",
    "dvvideo": "DV",
    "aac": "AAC",
    "ac3": "AC3",
    "eac3": "EAC3",
    "mp2": "MP2",
    "mp3": "MP3",
    "opus": "OPUS",
    "vorbis": "VORBIS",
    "flac": "FLAC",
    "amr_nb": "AMR",
    "amr_wb": "AMR",
    "wmav2": "WMA2",
}


class Unreadable(Exception):
    """No film or sound that ffprobe can read."""


@dataclass(frozen=True)
class Picture:
    """The first video stream. `rotation` is what the container says, in degrees clockwise."""

    index: int
    width: int
    height: int
    rotation: int
    rate: Fraction


@dataclass(frozen=True)
class Source:
    """What was found."""

    found: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """How long it is; 0 where the container does not say."""
        return float(self.found["format"].get("duration", 0))

    @property
    def picture(self) -> Picture | None:
        """The film's picture; a cover is none."""
        for stream in self.found["streams"]:
            if stream["codec_type"] == "video" and not stream.get("disposition", {}).get("attached_pic"):
                rate = _fraction(stream.get("avg_frame_rate")) or _fraction(stream.get("r_frame_rate"))
                return Picture(
                    stream["index"], stream["width"], stream["height"], _rotation(stream), rate or Fraction(25)
                )
        return None

    @property
    def sound(self) -> int | None:
        """Index of the first audio stream."""
        return next((s["index"] for s in self.found["streams"] if s["codec_type"] == "audio"), None)

    @property
    def turns_itself(self) -> bool:
        """Whether the service reads the rotation of its container: it does of MP4 and MOV only."""
        return str(self.found["format"]["format_name"]).startswith("mov")

    def to_probe_result(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """A ProbeResult as boto3 has it."""
        tracks = [_track(stream) for stream in self.found["streams"]]
        kinds = {kind: [t["Index"] for t in tracks if t["TrackType"] == kind] for kind in ("video", "audio", "data")}
        container = {
            "Format": _format(self.found),
            "Duration": self.seconds,
            "BitRate": int(self.found["format"].get("bit_rate", 0)),
            "Tracks": tracks,
        }
        mapping = {f"{kind.capitalize()}TrackIndexes": indexes for kind, indexes in kinds.items()}
        return {"Container": container, "Metadata": dict(metadata), "TrackMappings": [mapping]}


async def probe(path: Path, demuxers: str = DEMUXERS) -> Source:
    """Look at a file. Raises Unreadable."""
    only = ("-protocol_whitelist", "file", "-format_whitelist", demuxers)
    command = ("ffprobe", "-v", "error", *only, "-of", "json", "-show_format", "-show_streams", str(path))
    ended = await programs.run(command, seconds=PROBE_SECONDS)
    if ended.code != 0:
        raise Unreadable(ended.errors or "no container is recognised")
    found = await asyncio.to_thread(json.loads, ended.out)
    if not found.get("streams"):
        raise Unreadable("it has no tracks")
    return Source(found)


def _track(stream: Mapping[str, Any]) -> dict[str, Any]:
    kind = stream["codec_type"] if stream["codec_type"] in ("video", "audio") else "data"
    name = stream.get("codec_name", "")
    codec = "PCM" if name.startswith("pcm_") else CODECS.get(name, "UNKNOWN")
    track: dict[str, Any] = {"Index": stream["index"] + 1, "TrackType": kind, "Codec": codec}
    if "duration" in stream:
        track["Duration"] = float(stream["duration"])
    rate = _fraction(stream.get("avg_frame_rate"))
    shared: dict[str, Any] = {"BitRate": int(stream.get("bit_rate", 0))}
    if rate:
        shared["FrameRate"] = {"Numerator": rate.numerator, "Denominator": rate.denominator}
    if kind == "video":
        # Null where it is 0, as the service has it.
        turned = {"Rotation": rotation} if (rotation := _rotation(stream)) else {}
        track["VideoProperties"] = {"Width": stream["width"], "Height": stream["height"], **turned, **shared}
    if kind == "audio":
        heard = {"Channels": stream.get("channels", 0), "SampleRate": int(stream.get("sample_rate", 0))}
        track["AudioProperties"] = {**heard, **shared}
    return track


def _format(found: Mapping[str, Any]) -> str:
    """The container by the service's name. A Matroska file with nothing but WebM's codecs is taken for WebM."""
    name = str(found["format"]["format_name"])
    if name.startswith("mov"):
        brand = str(found["format"].get("tags", {}).get("major_brand", ""))
        return BRANDS.get(brand, BRANDS.get(brand[:3], "mp4"))
    if name.startswith("matroska"):
        codecs = {stream.get("codec_name") for stream in found["streams"]}
        return "webm" if codecs <= {"vp8", "vp9", "av1", "vorbis", "opus"} else "matroska"
    return FORMATS.get(name, name)


def _rotation(stream: Mapping[str, Any]) -> int:
    """Clockwise, where ffprobe's display matrix counts the other way."""
    turns = (side.get("rotation") for side in stream.get("side_data_list", ()))
    return -int(next((turn for turn in turns if turn is not None), 0)) % 360


def _fraction(text: str | None) -> Fraction | None:
    numerator, _, denominator = (text or "0/0").partition("/")
    return Fraction(int(numerator), int(denominator or 1)) if int(numerator) and int(denominator or 1) else None
