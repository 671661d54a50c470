"""A MediaConvert double with its S3 server, used by unmodified boto3 as the service itself would be."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.config import Config

from media_devcluster.mediaconvert.service import MediaConvertDouble
from media_devcluster.objectstore import S3
from support.deadlines import eventually

Object = dict[str, Any]
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=30)
OVER = ("COMPLETE", "ERROR", "CANCELED")
ROLE = "arn:aws:iam::123456789012:role/media"
AAC = {"Codec": "AAC", "AacSettings": {"Bitrate": 96000, "SampleRate": 48000, "CodingMode": "CODING_MODE_2_0"}}


@dataclass(frozen=True)
class DoubleSite:
    """A client of the double and one of its S3."""

    double: MediaConvertDouble
    store: S3
    s3: Any
    mediaconvert: Any

    async def call(self, operation: str, **arguments: Any) -> Object:
        """One call of boto3, without its retries."""
        return await asyncio.to_thread(getattr(self.mediaconvert, operation), **arguments)

    async def put(self, path: Path, key: str = "") -> str:
        """The file in S3; its URL as jobs name it."""
        key = key or f"uploads/video/{uuid4().hex}{path.suffix}"
        await asyncio.to_thread(self.s3.upload_file, str(path), self.store.bucket, key)
        return f"s3://{self.store.bucket}/{key}"

    async def keys(self, prefix: str) -> list[str]:
        """What is in S3 below a prefix, relative to it."""
        found = await asyncio.to_thread(self.s3.list_objects_v2, Bucket=self.store.bucket, Prefix=prefix)
        return [item["Key"].removeprefix(prefix) for item in found.get("Contents", ())]

    async def text(self, key: str) -> str:
        """An object's text."""
        answer = await asyncio.to_thread(self.s3.get_object, Bucket=self.store.bucket, Key=key)
        return str(answer["Body"].read().decode())

    async def download(self, prefix: str, folder: Path) -> Path:
        """All objects below a prefix as files."""
        for key in await self.keys(prefix):
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(self.s3.download_file, self.store.bucket, prefix + key, str(path))
        return folder

    async def submit(self, settings: Object, **more: Any) -> Object:
        """A job of these settings."""
        return dict((await self.call("create_job", Role=ROLE, Settings=settings, **more))["Job"])

    async def over(self, job: Object, seconds: float = 90.0) -> Object:
        """The job, once it is over."""

        async def look() -> Object | None:
            seen = (await self.call("get_job", Id=job["Id"]))["Job"]
            return dict(seen) if seen["Status"] in OVER else None

        return await eventually(look, seconds, pause=0.1)

    async def done(self, settings: Object) -> Object:
        """A job of these settings, once it is over."""
        return await self.over(await self.submit(settings))


@asynccontextmanager
async def double_site(store: S3, folder: Path, **options: Any) -> AsyncIterator[DoubleSite]:
    """A running double."""
    async with MediaConvertDouble(store, folder, **options) as double:
        mediaconvert = await asyncio.to_thread(double.client, config=ONCE)
        yield DoubleSite(double, store, await asyncio.to_thread(store.client), mediaconvert)


def film(width: int | None = None, height: int | None = None, **settings: Any) -> Object:
    """A video description of H.264 by quality."""
    rates = {"RateControlMode": "QVBR", "MaxBitrate": 1_500_000, "SceneChangeDetect": "DISABLED"}
    gop = {"GopSize": 2.0, "GopSizeUnits": "SECONDS"}
    size = {name: side for name, side in (("Width", width), ("Height", height)) if side}
    codec = {"Codec": "H_264", "H264Settings": {**rates, **gop}}
    return {**size, "CodecSettings": codec, **settings}


def output(modifier: str, container: str, video: Object, *, sound: bool = True) -> Object:
    """An output."""
    made: Object = {"ContainerSettings": {"Container": container}, "VideoDescription": video}
    if modifier:
        made["NameModifier"] = modifier
    if sound:
        made["AudioDescriptions"] = [{"AudioSourceName": "Audio Selector 1", "CodecSettings": copy.deepcopy(AAC)}]
    return made


def hls(destination: str, *outputs: Object, seconds: int = 4, **settings: Any) -> Object:
    """A group of outputs listed by one playlist."""
    cut = {"SegmentLength": seconds, "MinSegmentLength": 0, "Destination": destination}
    group = {"Type": "HLS_GROUP_SETTINGS", "HlsGroupSettings": {**cut, **settings}}
    return {"Name": "hls", "OutputGroupSettings": group, "Outputs": list(outputs)}


def files(destination: str, *outputs: Object) -> Object:
    """A group of single files."""
    group = {"Type": "FILE_GROUP_SETTINGS", "FileGroupSettings": {"Destination": destination}}
    return {"Name": "files", "OutputGroupSettings": group, "Outputs": list(outputs)}


def still(width: int, height: int, **settings: Any) -> Object:
    """An output of captured frames."""
    capture = {"FramerateNumerator": 1, "FramerateDenominator": 1, "MaxCaptures": 1, "Quality": 80, **settings}
    codec = {"Codec": "FRAME_CAPTURE", "FrameCaptureSettings": capture}
    video = {"Width": width, "Height": height, "CodecSettings": codec}
    return output("", "RAW", video, sound=False)


def settings(source: str, *groups: Object) -> Object:
    """Settings of a job over one input, shown upright."""
    selectors = {"Audio Selector 1": {"DefaultSelection": "DEFAULT"}}
    given = {
        "FileInput": source,
        "AudioSelectors": selectors,
        "VideoSelector": {"Rotate": "AUTO"},
        "TimecodeSource": "ZEROBASED",
    }
    return {"Inputs": [given], "OutputGroups": list(groups)}
