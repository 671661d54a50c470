"""What MediaConvert is asked to make of a film, and what its answers mean: a probe, and the code of an error.

Pure translations between the service's language and ours; when it is asked, and what follows from the answers, is
for others to decide. The outputs are those of `ladder`, under the keys of `keys`: a job's description never tells
where its outputs are, so their places are ours to choose.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from media_core import ladder
from media_core.asset import MediaAsset
from media_core.keys import video_base
from media_core.ladder import Film, Rung
from media_core.reasons import Reason, Refusal

FORMATS: Final = ("mp4", "quicktime", "matroska", "webm")
"""Containers as a probe names them; they are those of the content types that may be uploaded."""
SOUND: Final = "Audio Selector 1"
ROTATIONS: Final = {0: "DEGREE_0", 90: "DEGREES_90", 180: "DEGREES_180", 270: "DEGREES_270"}
TURNED_BY_ITSELF: Final = ("video/mp4", "video/quicktime")
SAMPLE_RATE: Final = 48_000
THUMBNAIL_QUALITY: Final = 80
HIGH_RUNG: Final = 1080
"""From this short side on viewers sit close enough to see the difference: one level of quality more."""

ACCESS_CODES: Final = frozenset({1401, 1432, 1433, 1434})
ACCESS_WORDS: Final = ("access denied", "accessdenied", "assume role", "not authorized", "permission", "nosuchbucket")
UNKNOWN_FORMAT_WORDS: Final = ("no parser found", "unsupported", "not supported")
CANNOT_OPEN, BAD_PICTURE, NOT_FOUND = 1010, 1030, 1404


class NotAFilm(Refusal):
    """An original that is not transcoded."""


def job_request(asset: MediaAsset, film: Film, *, role: str, queue: str, token: str) -> dict[str, Any]:
    """The arguments of CreateJob. `UserMetadata` is how a job is found again whose id was never heard.

    It says the size of the film too: whoever proves the outputs would have to probe it again, once for every video.
    """
    source = asset.spec.source
    base = f"s3://{source.bucket}/{video_base(asset.spec.owner, asset.name)}"
    return {
        "Role": role,
        "Queue": queue,
        "ClientRequestToken": token,
        "UserMetadata": {
            "assetId": asset.name,
            "namespace": asset.metadata.namespace,
            "uid": asset.uid,
            "shown": "x".join(map(str, film.shown)),
        },
        # Accelerated jobs, and passes beyond one, are paid for at several times the price.
        "AccelerationSettings": {"Mode": "DISABLED"},
        "StatusUpdateInterval": "SECONDS_10",
        "Settings": {
            "TimecodeConfig": {"Source": "ZEROBASED"},
            "Inputs": [_input(asset, film)],
            "OutputGroups": [
                _hls_group(base, film),
                _file_group("video", base + ladder.VIDEO, _progressive(film)),
                _file_group("thumbnail", base + ladder.THUMBNAIL, _thumbnail(film)),
            ],
        },
    }


def film_of(probed: Mapping[str, Any], longest_seconds: int = ladder.LONGEST_SECONDS) -> Film:
    """The film of one of Probe's results. Raises NotAFilm."""
    container = probed.get("Container") or {}
    if container.get("Format") not in FORMATS:
        told = (
            f"The file is no video in a format that is transcoded ({', '.join(FORMATS)}); a playlist is none either."
        )
        raise NotAFilm(Reason.UNSUPPORTED_FORMAT, told)
    tracks = container.get("Tracks") or ()
    picture = next(_known(tracks, "video"), None)
    if picture is None:
        has_picture = any(track.get("TrackType") == "video" for track in tracks)
        told = "The codec of its picture is not one that is transcoded." if has_picture else "It has no picture."
        raise NotAFilm(Reason.UNSUPPORTED_FORMAT, told)
    properties = picture.get("VideoProperties") or {}
    rotation = properties.get("Rotation") or 0
    film = Film(
        width=properties.get("Width") or 0,
        height=properties.get("Height") or 0,
        # By any other angle the service does not turn a film.
        rotation=rotation % 360 if rotation % 90 == 0 else 0,
        duration_seconds=_duration(container.get("Duration") or picture.get("Duration")),
        has_audio=next(_known(tracks, "audio"), None) is not None,
    )
    if refused := ladder.refusal(film, longest_seconds):
        raise NotAFilm(*refused)
    return film


def reason_of(error_code: int, message: str) -> tuple[Reason, str]:
    """What a job's error means, and a sentence that quotes it.

    One code can mean several things (1010 is a file that cannot be read as well as one that may not be), so the words
    beside it count too: what somebody has to put right at the service is not to fail the film.
    """
    words = message.lower()
    quoted = f"MediaConvert said ({error_code}): {message or 'nothing more'}"
    if error_code in ACCESS_CODES or any(word in words for word in ACCESS_WORDS):
        told = "MediaConvert may not use the bucket. Check that its role can be assumed, and read and write there."
        return Reason.TRANSCODER_MISCONFIGURED, f"{told} {quoted}"
    if error_code == NOT_FOUND:
        return Reason.SOURCE_MISSING, f"The original is not there any more. {quoted}"
    if error_code == CANNOT_OPEN and any(word in words for word in UNKNOWN_FORMAT_WORDS):
        return Reason.UNSUPPORTED_FORMAT, f"The file is not in a format that is transcoded. {quoted}"
    if error_code in (CANNOT_OPEN, BAD_PICTURE):
        return Reason.UNDECODABLE, f"The file cannot be decoded. {quoted}"
    return Reason.TRANSCODE_FAILED, f"The video could not be transcoded. {quoted}"


def _input(asset: MediaAsset, film: Film) -> dict[str, Any]:
    source = asset.spec.source
    # AUTO knows the rotation of MP4 and MOV only.
    rotate = "AUTO" if source.content_type in TURNED_BY_ITSELF else ROTATIONS[film.rotation]
    sound = {"AudioSelectors": {SOUND: {"DefaultSelection": "DEFAULT"}}} if film.has_audio else {}
    return {
        "FileInput": f"s3://{source.bucket}/{source.key}",
        "TimecodeSource": "ZEROBASED",
        "VideoSelector": {"ColorSpace": "FOLLOW", "Rotate": rotate},
        **sound,
    }


def _hls_group(base: str, film: Film) -> dict[str, Any]:
    outputs = [
        {
            "NameModifier": f"_{rung.name}",
            "ContainerSettings": {"Container": "M3U8", "M3u8Settings": {}},
            **_coded(rung),
        }
        for rung in ladder.ladder(film)
    ]
    settings = {
        "Destination": base + ladder.MASTER.removesuffix(".m3u8"),
        "SegmentLength": ladder.SEGMENT_SECONDS,
        "MinSegmentLength": 0,
        "SegmentControl": "SEGMENTED_FILES",
        "DirectoryStructure": "SINGLE_DIRECTORY",
        "OutputSelection": "MANIFESTS_AND_SEGMENTS",
        # At 29.97 pictures a second a segment is 4.004 s long: whole seconds drift away from the film.
        "ManifestDurationFormat": "FLOATING_POINT",
        "TargetDurationCompatibilityMode": "SPEC_COMPLIANT",
        "ManifestCompression": "NONE",
        "CodecSpecification": "RFC_4281",
        "StreamInfResolution": "INCLUDE",
        "ClientCache": "ENABLED",
        "ProgramDateTime": "EXCLUDE",
    }
    return {
        "Name": "hls",
        "OutputGroupSettings": {"Type": "HLS_GROUP_SETTINGS", "HlsGroupSettings": settings},
        "Outputs": outputs,
    }


def _file_group(name: str, place: str, output: dict[str, Any]) -> dict[str, Any]:
    """A group of one output; the service adds the extension."""
    settings = {"Destination": place.rpartition(".")[0]}
    return {
        "Name": name,
        "OutputGroupSettings": {"Type": "FILE_GROUP_SETTINGS", "FileGroupSettings": settings},
        "Outputs": [output],
    }


def _progressive(film: Film) -> dict[str, Any]:
    container = {"Container": "MP4", "Mp4Settings": {"MoovPlacement": "PROGRESSIVE_DOWNLOAD"}}
    return {"ContainerSettings": container, **_coded(ladder.progressive(film))}


def _thumbnail(film: Film) -> dict[str, Any]:
    capture = {
        "FramerateNumerator": 1,
        "FramerateDenominator": ladder.THUMBNAIL_SECOND,
        "MaxCaptures": 1,
        "Quality": THUMBNAIL_QUALITY,
    }
    codec = {"Codec": "FRAME_CAPTURE", "FrameCaptureSettings": capture}
    return {
        "ContainerSettings": {"Container": "RAW"},
        "VideoDescription": _picture(*ladder.thumbnail_size(film), codec),
    }


def _coded(rung: Rung) -> dict[str, Any]:
    codec = {"Codec": "H_264", "H264Settings": _h264(rung)}
    sound = {"AudioDescriptions": [_sound(rung)]} if rung.audio_bitrate else {}
    return {"VideoDescription": _picture(rung.width, rung.height, codec), **sound}


def _picture(width: int, height: int, codec: dict[str, Any]) -> dict[str, Any]:
    # The sizes have the aspect of the film but for a pixel: any other behaviour would show that pixel as a black line.
    return {"Width": width, "Height": height, "ScalingBehavior": "STRETCH_TO_OUTPUT", "CodecSettings": codec}


def _h264(rung: Rung) -> dict[str, Any]:
    return {
        "CodecProfile": "HIGH",
        "CodecLevel": "AUTO",
        "RateControlMode": "QVBR",
        "QvbrSettings": {"QvbrQualityLevel": 9 if min(rung.width, rung.height) >= HIGH_RUNG else 8},
        "MaxBitrate": rung.max_bitrate,
        "HrdBufferSize": rung.max_bitrate * 5 // 2,
        "QualityTuningLevel": "SINGLE_PASS_HQ",
        "GopSizeUnits": "SECONDS",
        "GopSize": float(ladder.GOP_SECONDS),
        "GopClosedCadence": 1,
        "SceneChangeDetect": "ENABLED",
        "InterlaceMode": "PROGRESSIVE",
        "FramerateControl": "INITIALIZE_FROM_SOURCE",
        "ParControl": "INITIALIZE_FROM_SOURCE",
    }


def _sound(rung: Rung) -> dict[str, Any]:
    aac = {
        "Bitrate": rung.audio_bitrate,
        "CodecProfile": "LC",
        "CodingMode": "CODING_MODE_2_0",
        "RateControlMode": "CBR",
        "SampleRate": SAMPLE_RATE,
    }
    return {"AudioSourceName": SOUND, "CodecSettings": {"Codec": "AAC", "AacSettings": aac}}


def _known(tracks: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    """Tracks of that kind whose codec the service knows."""
    return (t for t in tracks if t.get("TrackType") == kind and t.get("Codec") not in (None, "UNKNOWN"))


def _duration(told: float | None) -> float:
    return told if told is not None and math.isfinite(told) and told > 0 else 0.0
