"""What a job is to make, read from its settings: groups of outputs, each with its place, its size and its rates.

Pure: the settings kept to the model and to the rules before they come here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

CHANNELS = {"CODING_MODE_1_0": 1, "CODING_MODE_1_1": 2, "CODING_MODE_2_0": 2, "CODING_MODE_5_1": 6}
QUALITY = 7
"""Of QVBR where a job does not say; the service chooses by the picture."""


class Scaling(StrEnum):
    """How a picture comes into a frame of another aspect."""

    DEFAULT = "DEFAULT"
    """As large as fits, the rest black."""
    STRETCH_TO_OUTPUT = "STRETCH_TO_OUTPUT"
    FIT = "FIT"
    FIT_NO_UPSCALE = "FIT_NO_UPSCALE"
    FILL = "FILL"


@dataclass(frozen=True)
class Place:
    """An object or the beginning of its key."""

    bucket: str
    key: str

    @classmethod
    def of(cls, url: str) -> Place:
        """From s3://bucket/key."""
        parts = urlsplit(url, allow_fragments=False)
        return cls(parts.netloc, parts.path.lstrip("/"))

    @property
    def url(self) -> str:
        """As a job names it."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Frame:
    """The size to be made; a side that is None follows from the other, both from the source."""

    width: int | None
    height: int | None
    scaling: Scaling


@dataclass(frozen=True)
class Film:
    """H.264. `quality` is 1 to 10 for QVBR and None where the bitrate is to be met."""

    bitrate: int | None
    max_bitrate: int | None
    buffer_bits: int | None
    quality: float | None
    gop_frames: int | None
    gop_seconds: float | None
    scene_changes: bool
    profile: str | None
    rate: tuple[int, int] | None


@dataclass(frozen=True)
class Stills:
    """Captured frames: the first, then one each `denominator`/`numerator` seconds."""

    numerator: int
    denominator: int
    limit: int
    quality: int


@dataclass(frozen=True)
class Sound:
    """AAC."""

    bitrate: int
    sample_rate: int
    channels: int | None


@dataclass(frozen=True)
class Output:
    """One output; `name` is its file's name without the extension."""

    name: str
    extension: str
    frame: Frame
    video: Film | Stills
    sound: Sound | None
    fast_start: bool


@dataclass(frozen=True)
class Hls:
    """How an HLS group is cut and listed."""

    segment_seconds: int
    whole_durations: bool
    resolutions: bool
    manifests: bool


@dataclass(frozen=True)
class Group:
    """Outputs of one destination. `hls` is None for a group of files."""

    folder: Place
    name: str
    hls: Hls | None
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class Work:
    """A job as the double carries it out. `rotate` is None for AUTO, else the degrees clockwise."""

    source: Place
    rotate: int | None
    groups: tuple[Group, ...]


def read(settings: Mapping[str, Any]) -> Work:
    """What the settings of a job ask for."""
    (given,) = settings["Inputs"]
    source = Place.of(given["FileInput"])
    rotate = given.get("VideoSelector", {}).get("Rotate", "DEGREE_0")
    degrees = None if rotate == "AUTO" else int(rotate.rpartition("_")[2])
    return Work(source, degrees, tuple(_group(group, source) for group in settings["OutputGroups"]))


def _group(group: Mapping[str, Any], source: Place) -> Group:
    settings = group["OutputGroupSettings"]
    hls = settings.get("HlsGroupSettings") if settings["Type"] == "HLS_GROUP_SETTINGS" else None
    place = Place.of((hls if hls is not None else settings["FileGroupSettings"])["Destination"])
    folder, _, name = place.key.rpartition("/")
    # A destination that is a folder: outputs are called like the input.
    name = name or PurePosixPath(source.key).stem
    return Group(
        Place(place.bucket, f"{folder}/" if folder else ""),
        name,
        _hls(hls) if hls is not None else None,
        tuple(_output(output, name) for output in group["Outputs"]),
    )


def _hls(settings: Mapping[str, Any]) -> Hls:
    return Hls(
        segment_seconds=settings["SegmentLength"],
        whole_durations=settings.get("ManifestDurationFormat", "FLOATING_POINT") == "INTEGER",
        resolutions=settings.get("StreamInfResolution", "INCLUDE") == "INCLUDE",
        manifests=settings.get("OutputSelection", "MANIFESTS_AND_SEGMENTS") == "MANIFESTS_AND_SEGMENTS",
    )


def _output(output: Mapping[str, Any], base: str) -> Output:
    video = output["VideoDescription"]
    codec = video["CodecSettings"]
    capture = codec["Codec"] == "FRAME_CAPTURE"
    container = output["ContainerSettings"]
    extension = "jpg" if capture else {"M3U8": "ts", "MP4": "mp4"}[container["Container"]]
    sounds = output.get("AudioDescriptions", [])
    return Output(
        name=base + output.get("NameModifier", ""),
        extension=output.get("Extension") or extension,
        frame=Frame(video.get("Width"), video.get("Height"), Scaling(video.get("ScalingBehavior", "DEFAULT"))),
        video=_stills(codec.get("FrameCaptureSettings", {})) if capture else _film(codec.get("H264Settings", {})),
        sound=_sound(sounds[0]["CodecSettings"].get("AacSettings", {})) if sounds else None,
        fast_start=container.get("Mp4Settings", {}).get("MoovPlacement", "PROGRESSIVE_DOWNLOAD") != "NORMAL",
    )


def _film(settings: Mapping[str, Any]) -> Film:
    qvbr = settings.get("RateControlMode") == "QVBR"
    in_seconds = settings.get("GopSizeUnits") == "SECONDS"
    size = settings.get("GopSize") if settings.get("GopSizeUnits") != "AUTO" else None
    specified = settings.get("FramerateControl") == "SPECIFIED"
    level = settings.get("QvbrSettings", {})
    return Film(
        bitrate=settings.get("Bitrate"),
        max_bitrate=settings.get("MaxBitrate"),
        buffer_bits=settings.get("HrdBufferSize"),
        quality=level.get("QvbrQualityLevel", QUALITY) + level.get("QvbrQualityLevelFineTune", 0) if qvbr else None,
        gop_frames=int(size) if size and not in_seconds else None,
        gop_seconds=float(size) if size and in_seconds else None,
        scene_changes=settings.get("SceneChangeDetect", "ENABLED") != "DISABLED",
        profile=settings.get("CodecProfile"),
        rate=(settings["FramerateNumerator"], settings["FramerateDenominator"]) if specified else None,
    )


def _stills(settings: Mapping[str, Any]) -> Stills:
    return Stills(
        numerator=settings.get("FramerateNumerator", 1),
        denominator=settings.get("FramerateDenominator", 5),
        limit=settings.get("MaxCaptures", 10_000_000),
        quality=settings.get("Quality", 80),
    )


def _sound(settings: Mapping[str, Any]) -> Sound:
    return Sound(
        bitrate=settings.get("Bitrate", 96_000),
        sample_rate=settings["SampleRate"],
        channels=CHANNELS.get(settings["CodingMode"]),
    )
