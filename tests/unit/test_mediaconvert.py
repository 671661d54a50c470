from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.session import get_session
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from media_core.asset import AssetType, MediaAsset
from media_core.keys import film_key, parse
from media_core.ladder import CAPTURED, MASTER, VIDEO, Film, ladder, playlist_path, progressive, thumbnail_size
from media_core.mediaconvert import FORMATS, NotAFilm, film_of, job_request, reason_of
from media_core.reasons import Reason
from support.build import a_source, an_asset

JSON = dict[str, Any]
MODEL = get_session().get_service_model("mediaconvert")
CREATE_JOB = MODEL.shape_for("CreateJobRequest")
PROBE_RESULT = MODEL.shape_for("ProbeResult")
ROLE = "arn:aws:iam::123456789012:role/media-transcoder"
TOKEN = "0123456789abcdef" * 4
SOURCE_KEY = "uploads/video/user-1/20260102T030000_0123456789abcdef0123456789abcdef.mp4"
FILM = Film(1920, 1080, 0, 20.0, has_audio=True)
SILENT = Film(1920, 1080, 0, 20.0, has_audio=False)
AAC_BITRATES = {96_000, 128_000, 192_000}
"""Those of the service's list that are used here: it takes no others than listed."""
FILMS = st.builds(
    Film,
    width=st.integers(400, 8192),
    height=st.integers(410, 8000),
    rotation=st.sampled_from((0, 90, 180, 270)),
    duration_seconds=st.floats(0, 14_400),
    has_audio=st.booleans(),
)


def a_video(content_type: str = "video/mp4", owner: str = "user-1") -> MediaAsset:
    """A video of an owner."""
    source = a_source(key=SOURCE_KEY, contentType=content_type)
    return an_asset("film", asset_type=AssetType.VIDEO, source=source, owner=owner)


def request_for(film: Film = FILM, asset: MediaAsset | None = None) -> JSON:
    """What CreateJob is called with."""
    return job_request(asset or a_video(), film, role=ROLE, queue="Default", token=TOKEN)


def faults(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """What the model refuses beyond types: values out of an enum, a range, a length or a pattern."""
    limits = shape.metadata
    match shape:
        case StructureShape():
            for name, part in value.items():
                yield from faults(shape.members[name], part, f"{path}.{name}")
            return
        case ListShape():
            for part in value:
                yield from faults(shape.member, part, f"{path}[]")
            return
        case MapShape():
            for name, part in value.items():
                yield from faults(shape.value, part, f"{path}.{name}")
            return
        case _ if isinstance(value, str):
            measured: float = len(value)
        case _:
            measured = value
    if "enum" in limits and value not in limits["enum"]:
        yield f"{path}: {value!r} is not in {limits['enum']}"
    if measured < limits.get("min", measured) or measured > limits.get("max", measured):
        yield f"{path}: {value!r} is out of range"
    if "pattern" in limits and not re.search(limits["pattern"], value):
        yield f"{path}: {value!r} does not match {limits['pattern']}"


def refused(shape: Shape, value: Any) -> list[str]:
    """All that the service's own model has against a value."""
    report = ParamValidator().validate(value, shape)
    return [report.generate_report()] if report.has_errors() else list(faults(shape, value))


def groups_of(request: JSON) -> dict[str, JSON]:
    """Output groups by their names."""
    return {group["Name"]: group for group in request["Settings"]["OutputGroups"]}


def outputs_of(request: JSON) -> list[JSON]:
    """All outputs."""
    return [output for group in groups_of(request).values() for output in group["Outputs"]]


def written(request: JSON) -> Iterator[str]:
    """The addresses the service writes to, by its rules: destination, name modifier, extension."""
    extensions = {"M3U8": ".m3u8", "MP4": ".mp4", "RAW": ".0000000.jpg"}
    for group in groups_of(request).values():
        group_settings = group["OutputGroupSettings"]
        hls = group_settings.get("HlsGroupSettings")
        destination = (hls or group_settings["FileGroupSettings"])["Destination"]
        if hls:
            yield destination + ".m3u8"
        for output in group["Outputs"]:
            extension = extensions[output["ContainerSettings"]["Container"]]
            yield destination + output.get("NameModifier", "") + extension


# --- the job ---------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(FILMS)
def test_every_job_is_one_that_the_services_own_model_takes(film: Film) -> None:
    assert refused(CREATE_JOB, request_for(film)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"Role": 1}, "Invalid type", id="another type"),
        pytest.param({"NoSuchThing": 1}, "Unknown parameter", id="a member there is not"),
        pytest.param({"StatusUpdateInterval": "SECONDS_11"}, "is not in", id="a value out of an enum"),
        pytest.param({"Priority": 51}, "out of range", id="a number out of range"),
        pytest.param({"Settings": {"Inputs": [{"FileInput": "s3:/x"}]}}, "does not match", id="another pattern"),
        pytest.param({"Settings": {"Inputs": [{"TimecodeStart": "1"}]}}, "Invalid length", id="a text too short"),
    ],
)
def test_the_model_would_refuse_what_is_wrong(change: JSON, told: str) -> None:
    (sentence,) = [fault for fault in refused(CREATE_JOB, {**request_for(), **change}) if told in fault]
    assert sentence


def test_a_job_is_known_by_its_asset_and_its_token() -> None:
    asset = a_video()
    request = request_for(asset=asset)
    known = {"assetId": asset.name, "namespace": "media", "uid": asset.uid, "shown": "1920x1080"}
    assert request["UserMetadata"] == known
    assert (request["Role"], request["Queue"], request["ClientRequestToken"]) == (ROLE, "Default", TOKEN)


def test_a_job_reads_the_original_and_nothing_else() -> None:
    (only,) = request_for()["Settings"]["Inputs"]
    assert only["FileInput"] == f"s3://media/{SOURCE_KEY}"


def test_no_job_is_of_the_dearer_kind() -> None:
    request = request_for()
    assert request["AccelerationSettings"] == {"Mode": "DISABLED"}
    assert "MULTI_PASS" not in json.dumps(request)


@pytest.mark.parametrize("film", [FILM, SILENT, Film(480, 854, 90), Film(3840, 2160)], ids=str)
@pytest.mark.parametrize("owner", ["user-1", "auth0|5f7c"])
def test_everything_is_written_under_the_keys_of_its_asset(film: Film, owner: str) -> None:
    asset = a_video(owner=owner)
    paths = [MASTER, *(playlist_path(rung.name) for rung in ladder(film)), VIDEO, CAPTURED]
    expected = [f"s3://media/{film_key(owner, asset.name, path)}" for path in paths]
    assert list(written(request_for(film, asset))) == expected


@given(FILMS)
def test_outputs_have_the_sizes_and_bitrates_of_the_ladder(film: Film) -> None:
    groups = groups_of(request_for(film))
    coded_outputs = groups["hls"]["Outputs"] + groups["video"]["Outputs"]
    for rung, output in zip((*ladder(film), progressive(film)), coded_outputs, strict=True):
        video = output["VideoDescription"]
        assert (video["Width"], video["Height"]) == (rung.width, rung.height)
        coded = video["CodecSettings"]["H264Settings"]
        assert (coded["RateControlMode"], coded["MaxBitrate"]) == ("QVBR", rung.max_bitrate)
        assert "Bitrate" not in coded
    (thumbnail,) = groups["thumbnail"]["Outputs"]
    still = thumbnail["VideoDescription"]
    assert (still["Width"], still["Height"]) == thumbnail_size(film)
    assert still["CodecSettings"]["FrameCaptureSettings"]["MaxCaptures"] == 1


def test_larger_rungs_are_coded_better() -> None:
    hls = groups_of(request_for(Film(3840, 2160)))["hls"]
    coded = [output["VideoDescription"]["CodecSettings"]["H264Settings"] for output in hls["Outputs"]]
    assert [settings["QvbrSettings"]["QvbrQualityLevel"] for settings in coded] == [8, 9, 9]


def test_segments_begin_with_a_key_frame_in_every_rung() -> None:
    hls = groups_of(request_for())["hls"]
    cut = hls["OutputGroupSettings"]["HlsGroupSettings"]
    assert (cut["SegmentLength"], cut["MinSegmentLength"], cut["CodecSpecification"]) == (4, 0, "RFC_4281")
    for output in hls["Outputs"]:
        coded = output["VideoDescription"]["CodecSettings"]["H264Settings"]
        assert (coded["GopSizeUnits"], coded["GopSize"], coded["GopClosedCadence"]) == ("SECONDS", 2.0, 1)
        assert cut["SegmentLength"] % coded["GopSize"] == 0


def test_the_one_file_film_can_be_played_before_it_is_loaded() -> None:
    (output,) = groups_of(request_for())["video"]["Outputs"]
    assert output["ContainerSettings"]["Mp4Settings"]["MoovPlacement"] == "PROGRESSIVE_DOWNLOAD"


def test_a_film_with_sound_has_it_in_every_output_but_the_still() -> None:
    request = request_for(Film(3840, 2160, has_audio=True))
    (source,) = request["Settings"]["Inputs"][0]["AudioSelectors"]
    *films, thumbnail = outputs_of(request)
    for output in films:
        (sound,) = output["AudioDescriptions"]
        assert sound["AudioSourceName"] == source
        assert sound["CodecSettings"]["AacSettings"]["Bitrate"] in AAC_BITRATES
    assert "AudioDescriptions" not in thumbnail


def test_a_film_without_sound_asks_for_none() -> None:
    assert "Audio" not in json.dumps(request_for(SILENT))


@pytest.mark.parametrize(
    ("content_type", "rotation", "rotate"),
    [
        pytest.param("video/mp4", 90, "AUTO", id="the service turns an MP4 by itself"),
        pytest.param("video/quicktime", 270, "AUTO", id="and a MOV"),
        pytest.param("video/mp4", 0, "AUTO", id="one that need not be turned as well"),
        pytest.param("video/x-matroska", 90, "DEGREES_90", id="of a Matroska film it has to be told"),
        pytest.param("video/x-matroska", 180, "DEGREES_180", id="of a Matroska film upside down too"),
        pytest.param("video/webm", 0, "DEGREE_0", id="also that it stays as it is"),
    ],
)
def test_a_film_is_turned_as_it_is_shown(content_type: str, rotation: int, rotate: str) -> None:
    request = request_for(Film(1920, 1080, rotation), a_video(content_type))
    assert request["Settings"]["Inputs"][0]["VideoSelector"]["Rotate"] == rotate
    assert refused(CREATE_JOB, request) == []


# --- the probe -------------------------------------------------------------------------------------------------------


def a_picture(**properties: Any) -> JSON:
    """A picture's track."""
    known = {"Width": 1920, "Height": 1080, **properties}
    return {"Index": 1, "TrackType": "video", "Codec": "AVC", "Duration": 20.02, "VideoProperties": known}


SOUND: JSON = {"Index": 2, "TrackType": "audio", "Codec": "AAC", "AudioProperties": {"Channels": 2}}
SUBTITLES: JSON = {"Index": 3, "TrackType": "data", "Codec": "WEBVTT"}


def probed(*tracks: JSON, **container: Any) -> JSON:
    """One of Probe's results."""
    return {"Container": {"Format": "mp4", "Duration": 20.0, "Tracks": list(tracks), **container}, "Metadata": {}}


@pytest.mark.parametrize(
    ("result", "film"),
    [
        pytest.param(probed(a_picture(), SOUND), FILM, id="picture and sound"),
        pytest.param(probed(SOUND, a_picture()), FILM, id="the other way round"),
        pytest.param(probed(a_picture()), SILENT, id="no sound"),
        pytest.param(probed(a_picture(), {**SOUND, "Codec": "UNKNOWN"}), SILENT, id="sound of an unknown codec"),
        pytest.param(probed(a_picture(), SUBTITLES), SILENT, id="subtitles are no sound"),
        pytest.param(
            probed(a_picture(Rotation=90), SOUND), Film(1920, 1080, 90, 20.0, has_audio=True), id="held upright"
        ),
        pytest.param(
            probed(a_picture(Rotation=-90), SOUND), Film(1920, 1080, 270, 20.0, has_audio=True), id="counted backwards"
        ),
        pytest.param(probed(a_picture(Rotation=None), SOUND), FILM, id="no rotation told"),
        pytest.param(probed(a_picture(Rotation=45), SOUND), FILM, id="an angle the service does not turn by"),
        pytest.param(
            probed(a_picture(), Duration=None), Film(1920, 1080, 0, 20.02), id="only the picture has a length"
        ),
        pytest.param(
            probed({**a_picture(), "Duration": None}, Duration=None), Film(1920, 1080), id="as a browser records it"
        ),
        pytest.param(probed(a_picture(), Duration=float("nan")), Film(1920, 1080), id="a length that is no number"),
        pytest.param(probed(a_picture(), Duration=-5.0), Film(1920, 1080), id="a length there cannot be"),
        pytest.param(
            probed({**a_picture(), "Codec": "UNKNOWN"}, a_picture(Width=640, Height=480), SOUND),
            Film(640, 480, 0, 20.0, has_audio=True),
            id="the first picture that can be read",
        ),
    ],
)
def test_a_probe_tells_what_film_it_is(result: JSON, film: Film) -> None:
    assert film_of(result) == film


@pytest.mark.parametrize(
    ("result", "reason", "told"),
    [
        pytest.param({}, Reason.UNSUPPORTED_FORMAT, "a playlist", id="nothing"),
        pytest.param({"Container": None}, Reason.UNSUPPORTED_FORMAT, "a playlist", id="no container"),
        pytest.param(probed(a_picture(), Format=None), Reason.UNSUPPORTED_FORMAT, "a playlist", id="a playlist"),
        pytest.param(probed(a_picture(), Format="avi"), Reason.UNSUPPORTED_FORMAT, "mp4", id="another container"),
        pytest.param(probed(), Reason.UNSUPPORTED_FORMAT, "no picture", id="no tracks"),
        pytest.param(probed(Tracks=None), Reason.UNSUPPORTED_FORMAT, "no picture", id="no list of tracks"),
        pytest.param(probed(SOUND), Reason.UNSUPPORTED_FORMAT, "no picture", id="sound alone"),
        pytest.param(
            probed({**a_picture(), "Codec": "UNKNOWN"}), Reason.UNSUPPORTED_FORMAT, "codec", id="an unknown codec"
        ),
        pytest.param(probed({**a_picture(), "Codec": None}), Reason.UNSUPPORTED_FORMAT, "codec", id="no codec"),
        pytest.param(
            probed({**a_picture(), "VideoProperties": None}), Reason.UNDECODABLE, "how large", id="no properties"
        ),
        pytest.param(probed(a_picture(Width=None)), Reason.UNDECODABLE, "how large", id="no width"),
        pytest.param(probed(a_picture(Width=9000)), Reason.TOO_MANY_PIXELS, "8192", id="too wide"),
        pytest.param(probed(a_picture(), Duration=14_401.0), Reason.TOO_LONG, "14401 s", id="too long"),
    ],
)
def test_what_is_no_film_is_refused_with_a_sentence(result: JSON, reason: Reason, told: str) -> None:
    with pytest.raises(NotAFilm, match=told) as refusal:
        film_of(result)
    assert refusal.value.reason is reason
    assert refusal.value.message.endswith(".")


def test_how_long_a_film_may_be_is_a_setting() -> None:
    assert film_of(probed(a_picture()), 20) == SILENT
    with pytest.raises(NotAFilm, match="the limit is 19 s"):
        film_of(probed(a_picture()), 19)


def test_the_formats_are_those_a_probe_can_name() -> None:
    known = MODEL.shape_for("Format")
    assert isinstance(known, StringShape)
    assert set(FORMATS) <= set(known.enum)
    assert refused(PROBE_RESULT, probed(a_picture(Rotation=90), SOUND, SUBTITLES)) == []


def test_a_film_of_a_probe_can_be_submitted() -> None:
    assert refused(CREATE_JOB, request_for(film_of(probed(a_picture(Rotation=270), SOUND)))) == []
    assert parse(SOURCE_KEY) is not None


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        pytest.param(1010, "Failed probe/open: [No parser found for the container]", Reason.UNSUPPORTED_FORMAT),
        pytest.param(1010, "Unable to open input file: Failed probe/open", Reason.UNDECODABLE),
        pytest.param(1010, "Unable to open input file: [Access Denied]", Reason.TRANSCODER_MISCONFIGURED),
        pytest.param(1030, "Error decoding the video", Reason.UNDECODABLE),
        pytest.param(1401, "", Reason.TRANSCODER_MISCONFIGURED),
        pytest.param(1404, "The input file does not exist", Reason.SOURCE_MISSING),
        pytest.param(1404, "NoSuchBucket", Reason.TRANSCODER_MISCONFIGURED),
        pytest.param(1432, "", Reason.TRANSCODER_MISCONFIGURED),
        pytest.param(1433, "Unable to assume role", Reason.TRANSCODER_MISCONFIGURED),
        pytest.param(1434, "", Reason.TRANSCODER_MISCONFIGURED),
        pytest.param(3400, "Unable to write to output file: [Access Denied]", Reason.TRANSCODER_MISCONFIGURED),
        pytest.param(1999, "Unknown error", Reason.TRANSCODE_FAILED),
        pytest.param(0, "", Reason.TRANSCODE_FAILED),
    ],
)
def test_an_error_is_a_reason_and_a_sentence_that_quotes_it(code: int, message: str, reason: Reason) -> None:
    found, told = reason_of(code, message)
    assert found is reason
    assert f"({code})" in told
    assert message in told
