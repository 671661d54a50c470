"""What the service asks of a job beyond its model: the rules that only an attempt to create the job tells.

Each rule is a pure function of the request and gives the sentences of what is wrong. At the end are the limits of
the double itself, which begin with "the double": what it cannot make it refuses, and does not leave out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Job = dict[str, Any]

TOKEN_LENGTH = 64
METADATA = re.compile(r"[\w\s+\-=.:/@]{0,256}")
ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")
GROUPS = {"HLS_GROUP_SETTINGS": "HlsGroupSettings", "FILE_GROUP_SETTINGS": "FileGroupSettings"}
NOT_MADE = ("Crop", "Position", "VideoPreprocessors")
NOT_READ = ("InputClippings", "Crop", "Position", "ImageInserter", "DecryptionSettings", "VideoOverlays")


def refusals(job: Job) -> list[str]:
    """All that is wrong with a job whose request keeps to the model."""
    rules = (_request, _inputs, _groups, _names, _containers, _videos, _sounds, _captures, _limits)
    return [sentence for rule in rules for sentence in rule(job)]


def _request(job: Job) -> Iterator[str]:
    token = job.get("ClientRequestToken", "")
    if len(token) > TOKEN_LENGTH or not token.isascii():
        yield f"/clientRequestToken: should be at most {TOKEN_LENGTH} ASCII characters"
    if not ROLE.fullmatch(job["Role"]):
        yield f"/role: {job['Role']!r} is no ARN of a role"
    for name, value in job.get("UserMetadata", {}).items():
        if not (METADATA.fullmatch(name) and METADATA.fullmatch(value)):
            yield f"/userMetadata/{name}: has characters that are not allowed, or more than 256"


def _inputs(job: Job) -> Iterator[str]:
    inputs = job["Settings"].get("Inputs", [])
    if not inputs:
        yield "/settings/inputs: there should be at least one"
    for at, each in enumerate(inputs):
        if not each.get("FileInput"):
            yield f"/settings/inputs/{at}/fileInput: is a required property"


def _groups(job: Job) -> Iterator[str]:
    groups = job["Settings"].get("OutputGroups", [])
    if not groups:
        yield "/settings/outputGroups: there should be at least one"
    for at, group in enumerate(groups):
        where = f"/settings/outputGroups/{at}"
        settings = group.get("OutputGroupSettings", {})
        kind = settings.get("Type")
        if kind is None:
            yield f"{where}/outputGroupSettings/type: is a required property"
            continue
        member = GROUPS.get(kind, "")
        if member and not settings.get(member, {}).get("Destination"):
            yield f"{where}/outputGroupSettings: {kind} needs {member} with a destination"
        if not group.get("Outputs"):
            yield f"{where}/outputs: there should be at least one"
        if kind == "HLS_GROUP_SETTINGS":
            for needed in ("SegmentLength", "MinSegmentLength"):
                if needed not in settings.get(member, {}):
                    yield f"{where}/outputGroupSettings/hlsGroupSettings: {needed} is a required property"


def _names(job: Job) -> Iterator[str]:
    """Two outputs must not be written to the same place."""
    seen: set[tuple[str, str, str]] = set()
    for where, group, output in outputs_of(job):
        settings = group.get("OutputGroupSettings", {})
        modifier = output.get("NameModifier", "")
        if not modifier and (len(group["Outputs"]) > 1 or settings.get("Type") == "HLS_GROUP_SETTINGS"):
            yield f"{where}/nameModifier: is required where the group has other outputs or a manifest"
        destination = settings.get(GROUPS.get(settings.get("Type", ""), ""), {}).get("Destination", "")
        extension = output.get("Extension") or output.get("ContainerSettings", {}).get("Container", "")
        if (place := (destination, modifier, extension)) in seen:
            yield f"{where}: another output has the same destination, name modifier and extension"
        seen.add(place)


def _containers(job: Job) -> Iterator[str]:
    for where, group, output in outputs_of(job):
        container = output.get("ContainerSettings", {}).get("Container")
        kind = group.get("OutputGroupSettings", {}).get("Type")
        if container is None:
            yield f"{where}/containerSettings/container: is a required property"
        elif kind == "HLS_GROUP_SETTINGS" and container != "M3U8":
            yield f"{where}/containerSettings/container: should be M3U8 in an HLS group, not {container}"
        elif kind == "FILE_GROUP_SETTINGS" and container == "M3U8":
            yield f"{where}/containerSettings/container: M3U8 is for HLS groups"
        if not output.get("VideoDescription") and not output.get("AudioDescriptions"):
            yield f"{where}: an output needs a video or an audio description"


def _videos(job: Job) -> Iterator[str]:
    for where, _, output in outputs_of(job):
        video = output.get("VideoDescription")
        if not video:
            continue
        where = f"{where}/videoDescription"
        codec = video.get("CodecSettings", {}).get("Codec")
        if codec is None:
            yield f"{where}/codecSettings/codec: is a required property"
        if codec == "H_264":
            yield from _h264(f"{where}/codecSettings/h264Settings", video["CodecSettings"].get("H264Settings", {}))
            for side in ("Width", "Height"):
                if video.get(side, 0) % 2:
                    yield f"{where}/{side.lower()}: should be even, not {video[side]}"


def _h264(where: str, settings: dict[str, Any]) -> Iterator[str]:
    mode = settings.get("RateControlMode", "VBR")
    if mode == "QVBR" and "MaxBitrate" not in settings:
        yield f"{where}/maxBitrate: is required for QVBR"
    if mode == "QVBR" and "Bitrate" in settings:
        yield f"{where}/bitrate: is not for QVBR"
    if mode in ("CBR", "VBR") and "Bitrate" not in settings:
        yield f"{where}/bitrate: is required for {mode}"
    if mode != "QVBR" and "QvbrSettings" in settings:
        yield f"{where}/qvbrSettings: is for QVBR only, not for {mode}"
    if settings.get("GopSizeUnits") == "AUTO" and "GopSize" in settings:
        yield f"{where}/gopSize: should not be given where gopSizeUnits is AUTO"
    if settings.get("FramerateControl") == "SPECIFIED" and not (
        "FramerateNumerator" in settings and "FramerateDenominator" in settings
    ):
        yield f"{where}: framerateControl SPECIFIED needs framerateNumerator and framerateDenominator"


def _sounds(job: Job) -> Iterator[str]:
    sources = {name for each in job["Settings"].get("Inputs", []) for name in each.get("AudioSelectors", {})}
    for where, _, output in outputs_of(job):
        for at, sound in enumerate(output.get("AudioDescriptions", [])):
            here = f"{where}/audioDescriptions/{at}"
            source = sound.get("AudioSourceName", "Audio Selector 1")
            if source not in sources:
                yield f"{here}/audioSourceName: the input has no audio selector {source!r}"
            codec = sound.get("CodecSettings", {}).get("Codec")
            if codec is None:
                yield f"{here}/codecSettings/codec: is a required property"
            if codec == "AAC":
                given = sound["CodecSettings"].get("AacSettings", {})
                for needed in ("CodingMode", "SampleRate"):
                    if needed not in given:
                        yield f"{here}/codecSettings/aacSettings: {needed} is a required property"


def _captures(job: Job) -> Iterator[str]:
    captures = [(where, output) for where, _, output in outputs_of(job) if codec_of(output) == "FRAME_CAPTURE"]
    if captures and len(captures) == len(list(outputs_of(job))):
        yield "/settings/outputGroups: frame capture needs another output with video or audio"
    for where, output in captures:
        if output.get("ContainerSettings", {}).get("Container") != "RAW":
            yield f"{where}/containerSettings/container: should be RAW for frame capture"
        if output.get("AudioDescriptions"):
            yield f"{where}/audioDescriptions: frame capture has no sound"


def _limits(job: Job) -> Iterator[str]:
    """What the double does not do."""
    inputs = job["Settings"].get("Inputs", [])
    if len(inputs) > 1:
        yield "the double takes one input, not several"
    for each in inputs:
        if not each.get("FileInput", "s3://").startswith("s3://"):
            yield "the double reads inputs from S3 only"
        for name in NOT_READ:
            if each.get(name):
                yield f"the double does not know {name} of an input"
    for where, group, output in outputs_of(job):
        settings = group.get("OutputGroupSettings", {})
        if settings.get("Type") not in GROUPS:
            yield f"{where}: the double makes {' and '.join(GROUPS)}, not {settings.get('Type')}"
        if group.get("AutomatedEncodingSettings"):
            yield f"{where}: the double does not know automated ABR"
        hls = settings.get("HlsGroupSettings", {})
        if hls.get("SegmentControl", "SEGMENTED_FILES") != "SEGMENTED_FILES":
            yield f"{where}: the double writes SEGMENTED_FILES, not {hls['SegmentControl']}"
        if hls.get("DirectoryStructure", "SINGLE_DIRECTORY") != "SINGLE_DIRECTORY":
            yield f"{where}: the double writes a SINGLE_DIRECTORY, not {hls['DirectoryStructure']}"
        if hls.get("ManifestCompression", "NONE") != "NONE" or hls.get("Encryption"):
            yield f"{where}: the double neither compresses manifests nor encrypts segments"
        yield from _output_limits(where, output)


def _output_limits(where: str, output: dict[str, Any]) -> Iterator[str]:
    video = output.get("VideoDescription")
    container = output.get("ContainerSettings", {}).get("Container")
    if output.get("Preset"):
        yield f"{where}: the double knows no presets"
    if video is None:
        yield f"{where}: the double makes no output without video"
        return
    if codec_of(output) not in ("H_264", "FRAME_CAPTURE", None):
        yield f"{where}: the double makes H_264 and FRAME_CAPTURE, not {codec_of(output)}"
    if container not in ("M3U8", "MP4", "RAW", None):
        yield f"{where}: the double writes M3U8, MP4 and RAW, not {container}"
    if container == "RAW" and codec_of(output) == "H_264":
        yield f"{where}: the double writes RAW for frame capture only"
    if video.get("ScalingBehavior") == "SMART_CROP":
        yield f"{where}: the double does not know SMART_CROP"
    for name in NOT_MADE:
        if video.get(name):
            yield f"{where}: the double does not know {name} of a video description"
    if len(output.get("AudioDescriptions", [])) > 1:
        yield f"{where}: the double puts one sound into an output, not several"
    for sound in output.get("AudioDescriptions", []):
        if sound.get("CodecSettings", {}).get("Codec") not in ("AAC", None):
            yield f"{where}: the double makes AAC, not {sound['CodecSettings']['Codec']}"


def outputs_of(job: Job) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every output, with the place it has in the request and its group."""
    for at, group in enumerate(job["Settings"].get("OutputGroups", [])):
        for number, output in enumerate(group.get("Outputs", [])):
            yield f"/settings/outputGroups/{at}/outputs/{number}", group, output


def codec_of(output: dict[str, Any]) -> str | None:
    """The video codec of an output."""
    codec = output.get("VideoDescription", {}).get("CodecSettings", {}).get("Codec")
    return str(codec) if codec is not None else None
