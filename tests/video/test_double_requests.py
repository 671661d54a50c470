"""The MediaConvert double as unmodified boto3 meets it: what it refuses, remembers, lists, cancels and probes."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from botocore.exceptions import ClientError

from media_devcluster.objectstore import S3
from support.clips import clip, ffmpeg, truncated
from support.deadlines import eventually
from support.double_site import ROLE, DoubleSite, Object, double_site, files, film, hls, output, settings, still
from support.leftovers import processes_in

SOURCE = "s3://media/uploads/film.mp4"
PLACE = "s3://media/processed/"
Change = Callable[[Object], Any]


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def timed(object_store: S3, tmp_path: Path, clock: Clock) -> AsyncIterator[DoubleSite]:
    """A double with a clock of the test's own, whose jobs do not go on."""
    async with double_site(object_store, tmp_path / "timed", clock=clock) as site:
        site.double.faults.add("stallJob", percent=10)
        yield site


def job() -> Object:
    """Arguments of create_job that are right."""
    return {
        "Role": ROLE,
        "Settings": settings(
            SOURCE,
            hls(f"{PLACE}hls/master", output("_a", "M3U8", film(640, 360)), output("_b", "M3U8", film(1280, 720))),
            files(f"{PLACE}video", output("", "MP4", film(640, 360))),
            files(f"{PLACE}thumbnail", still(640, 360)),
        ),
        "UserMetadata": {"assetId": "7f2c", "namespace": "media"},
    }


def group(asked: Object, at: int = 0) -> Any:
    return asked["Settings"]["OutputGroups"][at]


def hls_settings(asked: Object) -> Any:
    return group(asked)["OutputGroupSettings"]["HlsGroupSettings"]


def h264(asked: Object) -> Any:
    return group(asked)["Outputs"][0]["VideoDescription"]["CodecSettings"]["H264Settings"]


def aac(asked: Object) -> Any:
    return group(asked)["Outputs"][0]["AudioDescriptions"][0]


WRONG: dict[str, tuple[Change, str]] = {
    "a role that is no ARN": (lambda j: j.update(Role="media"), "/role"),
    "metadata with a character it does not take": (lambda j: j["UserMetadata"].update(name="50%"), "/userMetadata"),
    "no input": (lambda j: j["Settings"].update(Inputs=[]), "/settings/inputs"),
    "no output": (lambda j: j["Settings"].update(OutputGroups=[]), "/settings/outputGroups"),
    "an enum's value there is not": (
        lambda j: h264(j).update(RateControlMode="CRF"),
        "should be one of VBR, CBR, QVBR",
    ),
    "a bitrate out of range": (lambda j: h264(j).update(MaxBitrate=2_000_000_000), "at most 1152000000"),
    "an input that is no URL": (lambda j: j["Settings"]["Inputs"][0].update(FileInput="film.mp4"), "should match"),
    "a size beyond what is made": (
        lambda j: group(j)["Outputs"][0]["VideoDescription"].update(Width=9000),
        "at most 8192",
    ),
    "an odd width": (lambda j: group(j)["Outputs"][0]["VideoDescription"].update(Width=641), "should be even"),
    "quality without a largest bitrate": (lambda j: h264(j).pop("MaxBitrate"), "/maxBitrate: is required for QVBR"),
    "a variable bitrate without a bitrate": (lambda j: h264(j).update(RateControlMode="VBR"), "/bitrate: is required"),
    "no segment length": (lambda j: hls_settings(j).pop("SegmentLength"), "SegmentLength is a required property"),
    "no shortest segment": (lambda j: hls_settings(j).pop("MinSegmentLength"), "MinSegmentLength is a required"),
    "no destination": (lambda j: hls_settings(j).pop("Destination"), "with a destination"),
    "two outputs without modifiers": (
        lambda j: group(j)["Outputs"][0].pop("NameModifier"),
        "nameModifier: is required",
    ),
    "two outputs at one place": (lambda j: group(j)["Outputs"][0].update(NameModifier="_b"), "the same destination"),
    "MP4 in an HLS group": (
        lambda j: group(j)["Outputs"][0].update(ContainerSettings={"Container": "MP4"}),
        "should be M3U8",
    ),
    "sound from a selector there is not": (lambda j: aac(j).update(AudioSourceName="Other"), "no audio selector"),
    "AAC without a sample rate": (lambda j: aac(j)["CodecSettings"]["AacSettings"].pop("SampleRate"), "SampleRate is"),
    "stills alone": (lambda j: j["Settings"].update(OutputGroups=[group(j, 2)]), "frame capture needs another"),
    "a codec that the double does not make": (
        lambda j: group(j)["Outputs"][0]["VideoDescription"].update(CodecSettings={"Codec": "H_265"}),
        "the double makes H_264",
    ),
    "a queue there is not": (lambda j: j.update(Queue="Nowhere"), "Queue Nowhere does not exist"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_job_is_refused_with_the_place_of_what_is_wrong(double: DoubleSite, case: str) -> None:
    change, told = WRONG[case]
    asked = copy.deepcopy(job())
    change(asked)
    with pytest.raises(ClientError) as refused:
        await double.call("create_job", **asked)
    assert refused.value.response["Error"]["Code"] in ("BadRequestException", "NotFoundException")
    assert told in str(refused.value)
    assert double.double.jobs.created == 0


async def test_members_that_the_model_does_not_know_are_refused(double: DoubleSite) -> None:
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/ap-south-1/mediaconvert/aws4_request"}
    body = {"role": ROLE, "settings": {"inputs": [], "surprise": 1}, "clientRequestToken": "a"}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{double.double.url}/2017-08-29/jobs", json=body, headers=signed) as answer:
            assert answer.status == 400
            assert "/settings/surprise: is not known" in (await answer.json())["message"]
        async with session.post(f"{double.double.url}/2017-08-29/jobs", json=body) as answer:
            assert answer.status == 403


async def test_what_was_asked_for_comes_back_with_the_job(timed: DoubleSite) -> None:
    made = (await timed.call("create_job", **job(), Queue="Default", ClientRequestToken="t"))["Job"]
    assert made["Status"] == "SUBMITTED"
    seen = (await timed.call("get_job", Id=made["Id"]))["Job"]
    assert seen["UserMetadata"] == job()["UserMetadata"]
    assert seen["Settings"] == job()["Settings"]
    assert seen["ClientRequestToken"] == "t"
    assert seen["Queue"].endswith(":queues/Default")
    assert seen["Timing"]["SubmitTime"].timestamp() == 1_700_000_000


async def test_a_token_names_the_same_job_for_a_minute_and_no_longer(timed: DoubleSite, clock: Clock) -> None:
    async def submitted() -> str:
        return str((await timed.call("create_job", **job(), ClientRequestToken="once"))["Job"]["Id"])

    first = await submitted()
    clock.now += 59
    assert await submitted() == first
    clock.now += 2
    assert await submitted() != first
    assert timed.double.jobs.created == 2


async def test_a_token_with_another_request_is_a_conflict(timed: DoubleSite) -> None:
    await timed.call("create_job", **job(), ClientRequestToken="once")
    with pytest.raises(ClientError, match="ConflictException"):
        await timed.call("create_job", **{**job(), "UserMetadata": {}}, ClientRequestToken="once")


async def test_jobs_are_listed_newest_first_in_pages_that_new_jobs_do_not_disturb(timed: DoubleSite) -> None:
    made = [(await timed.call("create_job", **job()))["Job"]["Id"] for _ in range(45)]
    first = await timed.call("list_jobs")
    late = (await timed.call("create_job", **job()))["Job"]["Id"]
    seen = [each["Id"] for each in first["Jobs"]]
    page = first
    while "NextToken" in page:
        page = await timed.call("list_jobs", NextToken=page["NextToken"])
        assert len(page["Jobs"]) <= 20
        seen += [each["Id"] for each in page["Jobs"]]
    assert seen == made[::-1]
    assert (await timed.call("list_jobs", MaxResults=1))["Jobs"][0]["Id"] == late
    with pytest.raises(ClientError, match="at most 20"):
        await timed.call("list_jobs", MaxResults=21)


async def test_jobs_are_listed_by_queue_and_status(timed: DoubleSite) -> None:
    await timed.call("create_queue", Name="films")
    mine = (await timed.call("create_job", **job(), Queue="films"))["Job"]
    await timed.call("create_job", **job())
    listed = await timed.call("list_jobs", Queue=mine["Queue"])
    assert [each["Id"] for each in listed["Jobs"]] == [mine["Id"]]
    assert (await timed.call("list_jobs", Status="COMPLETE"))["Jobs"] == []
    assert {queue["Name"] for queue in (await timed.call("list_queues"))["Queues"]} == {"Default", "films"}


async def test_a_job_there_is_not_is_not_found(double: DoubleSite) -> None:
    for operation in ("get_job", "cancel_job"):
        with pytest.raises(ClientError, match="NotFoundException"):
            await double.call(operation, Id="1-none")


async def test_a_canceled_job_ends_with_its_programs_and_writes_nothing(double: DoubleSite, tmp_path: Path) -> None:
    source = await double.put(clip(tmp_path, width=1280, height=720, seconds=30.0))
    place = f"s3://{double.store.bucket}/canceled/video"
    made = await double.submit(settings(source, files(place, output("", "MP4", film(1280, 720)))))

    def encoding() -> bool:
        return any("canceled" in line or "ffmpeg" in line for line in processes_in(tmp_path / "double"))

    await eventually(encoding)
    await double.call("cancel_job", Id=made["Id"])
    assert (await double.call("get_job", Id=made["Id"]))["Job"]["Status"] == "CANCELED"
    assert processes_in(tmp_path / "double") == []
    assert await double.keys("canceled/") == []
    with pytest.raises(ClientError, match="ConflictException"):
        await double.call("cancel_job", Id=made["Id"])


async def test_stopping_the_double_ends_its_programs(object_store: S3, tmp_path: Path) -> None:
    async with double_site(object_store, tmp_path / "stopped") as site:
        source = await site.put(clip(tmp_path, width=1280, height=720, seconds=30.0))
        place = f"s3://{site.store.bucket}/stopped/video"
        await site.submit(settings(source, files(place, output("", "MP4", film(1280, 720)))))
        await eventually(lambda: processes_in(tmp_path / "stopped"))
    assert processes_in(tmp_path / "stopped") == []
    assert list((tmp_path / "stopped").iterdir()) == []


async def test_a_program_of_a_job_runs_at_low_priority(double: DoubleSite, tmp_path: Path) -> None:
    source = await double.put(clip(tmp_path, width=1280, height=720, seconds=30.0))
    place = f"s3://{double.store.bucket}/polite/video"
    await double.submit(settings(source, files(place, output("", "MP4", film(1280, 720)))))
    found = await eventually(lambda: [line for line in processes_in(tmp_path / "double") if ": ffmpeg" in line])
    assert psutil.Process(int(found[0].partition(":")[0])).nice() >= 10


async def test_progress_rises_while_a_job_is_progressing(double: DoubleSite, tmp_path: Path) -> None:
    source = await double.put(clip(tmp_path, width=1280, height=720, seconds=20.0))
    place = f"s3://{double.store.bucket}/progress/video"
    made = await double.submit(settings(source, files(place, output("", "MP4", film(1280, 720)))))
    seen: list[int] = []

    async def over() -> bool:
        now = (await double.call("get_job", Id=made["Id"]))["Job"]
        seen.append(now.get("JobPercentComplete", 0))
        return bool(now["Status"] == "COMPLETE")

    await eventually(over, 60.0)
    assert seen == sorted(seen)
    assert any(0 < percent < 100 for percent in seen)
    assert seen[-1] == 100


async def test_a_probe_tells_container_tracks_sizes_and_rotation(double: DoubleSite, tmp_path: Path) -> None:
    lying = tmp_path / "lying.mp4"
    # ffmpeg counts this against the clock.
    turned = ("-c", "copy", "-metadata:s:v:0", "rotate=270")
    ffmpeg("-i", str(clip(tmp_path, width=640, height=360, seconds=2.0)), *turned, str(lying))
    files_probed = [{"FileUrl": await double.put(lying)}]
    (found,) = (await double.call("probe", InputFiles=files_probed))["ProbeResults"]
    assert found["Container"]["Format"] == "mp4"
    assert found["Container"]["Duration"] == pytest.approx(2.0, abs=0.1)
    video, audio = sorted(found["Container"]["Tracks"], key=lambda track: track["TrackType"], reverse=True)
    assert (video["TrackType"], video["Codec"]) == ("video", "AVC")
    properties = video["VideoProperties"]
    assert (properties["Width"], properties["Height"], properties["Rotation"]) == (640, 360, 90)
    assert properties["FrameRate"] == {"Numerator": 25, "Denominator": 1}
    assert (audio["TrackType"], audio["Codec"]) == ("audio", "AAC")
    assert found["Metadata"]["FileSize"] == lying.stat().st_size


@pytest.mark.parametrize(
    ("name", "container"), [("clip.mov", "quicktime"), ("clip.webm", "webm"), ("clip.mkv", "matroska")]
)
async def test_a_probe_names_the_container(double: DoubleSite, tmp_path: Path, name: str, container: str) -> None:
    url = await double.put(clip(tmp_path, name, width=320, height=180, seconds=1.0))
    (found,) = (await double.call("probe", InputFiles=[{"FileUrl": url}]))["ProbeResults"]
    assert found["Container"]["Format"] == container


async def test_a_probe_refuses_what_it_cannot_read(double: DoubleSite, tmp_path: Path) -> None:
    broken = await double.put(truncated(clip(tmp_path, seconds=2.0)))
    with pytest.raises(ClientError, match="UnprocessableEntityException"):
        await double.call("probe", InputFiles=[{"FileUrl": broken}])
    with pytest.raises(ClientError, match="NotFoundException"):
        await double.call("probe", InputFiles=[{"FileUrl": f"s3://{double.store.bucket}/none.mp4"}])


async def test_jobs_wait_for_each_other_and_all_are_done(double: DoubleSite, tmp_path: Path) -> None:
    source = await double.put(clip(tmp_path, width=320, height=180, seconds=1.0))
    made = [
        await double.submit(
            settings(source, files(f"s3://{double.store.bucket}/all/{at}", output("", "MP4", film(320, 180))))
        )
        for at in range(3)
    ]
    done = await asyncio.gather(*(double.over(each) for each in made))
    assert {each["Status"] for each in done} == {"COMPLETE"}
    assert await double.keys("all/") == ["0.mp4", "1.mp4", "2.mp4"]
