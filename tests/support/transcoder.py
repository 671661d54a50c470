"""MediaConvert, object storage and the API server as values in memory, each at its typed port, for the poller.

The double of the service, which speaks its protocol and runs ffmpeg, is `media_devcluster.mediaconvert`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from media_core.asset import AssetMeta, AssetStatus, AssetType, MediaAsset, VideoBackend, VideoStatus
from media_core.keys import video_base
from media_core.ladder import Film
from media_core.listing import JobState, ServiceJob
from media_core.reasons import Reason
from media_core.transcoding_status import video_of
from media_operator.adapters.cluster import Kind
from media_operator.adapters.mediaconvert import PAGE, MediaConvert, Page
from media_operator.adapters.objectstore import ObjectMissing, ObjectStore, StoreUnavailable
from media_operator.poller import Poller
from media_operator.submission import Submission
from media_operator.world import World
from media_operator.writing import StatusWriting
from support.build import NOW, a_source, a_status, an_asset, an_asset_body, an_id

FILM = Film(320, 180, 0, 8.0, True)
ROLE = "arn:aws:iam::123456789012:role/media"
VIDEO_KEY = "uploads/video/user-1/20260102T030000_0123456789abcdef0123456789abcdef.mp4"
MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=500000,RESOLUTION=320x180\nmaster_180p.m3u8\n"
PLAYLIST = "#EXTM3U\n#EXTINF:4.0,\nmaster_180p_00001.ts\n#EXTINF:4.0,\nmaster_180p_00002.ts\n#EXT-X-ENDLIST\n"
FILES: Mapping[str, bytes] = {
    "hls/master.m3u8": MASTER.encode(),
    "hls/master_180p.m3u8": PLAYLIST.encode(),
    "hls/master_180p_00001.ts": b"1" * 100,
    "hls/master_180p_00002.ts": b"2" * 50,
    "video.mp4": b"v" * 70,
    "thumbnail.0000000.jpg": b"t" * 7,
}


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Service:
    """The service's side of the port `MediaConvert`. `troubles` are raised by the next calls of an operation."""

    queue = "Default"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.probe_seconds = 0.0
        """How long a probe takes."""
        self.jobs: dict[str, ServiceJob] = {}
        self.foreign: list[tuple[JobState, datetime]] = []
        self.calls: Counter[str] = Counter()
        self.requests: list[Mapping[str, Any]] = []
        self.canceled: list[str] = []
        self.troubles: dict[str, list[Exception]] = defaultdict(list)
        self.lost_answers: list[Exception] = []
        """Raised by `create` after it has taken the job."""
        self.probed = probe_result()

    def put(self, **changes: Any) -> None:
        """Change all jobs."""
        self.jobs = {name: replace(job, **changes) for name, job in self.jobs.items()}

    async def page(self, state: JobState, following: str | None = None) -> Page:
        self._called("list")
        known: list[tuple[datetime, ServiceJob | None]] = [
            (job.created, job) for job in self.jobs.values() if job.state is state
        ]
        known += [(created, None) for found, created in self.foreign if found is state]
        known.sort(key=lambda each: each[0], reverse=True)
        start = int(following or 0)
        here = known[start : start + PAGE]
        more = str(start + PAGE) if len(known) > start + PAGE else None
        jobs = tuple(job for _, job in here if job is not None)
        return Page(jobs, min((created for created, _ in here), default=None), more)

    async def probe(self, _url: str) -> dict[str, Any]:
        self._called("probe")
        self._clock.advance(self.probe_seconds)
        return self.probed

    async def create(self, request: Mapping[str, Any]) -> str:
        self._called("create")
        self.requests.append(request)
        metadata, token = request["UserMetadata"], request["ClientRequestToken"]
        for job in self.jobs.values():
            if job.token == token and self._clock.now - job.created < timedelta(minutes=1):
                return job.id
        job = ServiceJob(
            id=f"job-{len(self.requests)}",
            asset_id=metadata["assetId"],
            uid=metadata["uid"],
            state=JobState.SUBMITTED,
            created=self._clock.now,
            shown=FILM.shown,
            token=token,
        )
        self.jobs[job.id] = job
        if self.lost_answers:
            raise self.lost_answers.pop(0)
        return job.id

    async def cancel(self, job_id: str) -> None:
        self._called("cancel")
        self.canceled.append(job_id)
        if job_id in self.jobs:
            self.jobs[job_id] = replace(self.jobs[job_id], state=JobState.CANCELED)

    def _called(self, operation: str) -> None:
        self.calls[operation] += 1
        if self.troubles[operation]:
            raise self.troubles[operation].pop(0)


class Store:
    """Object storage's side of the port `ObjectStore`."""

    bucket = "media"

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {VIDEO_KEY: b"original"}
        self.original = a_source().etag
        self.refusing: set[str] = set()
        """Methods that are refused."""

    def finish(self, asset: MediaAsset) -> None:
        """What the service makes of an asset."""
        self.files |= {video_base(asset.spec.owner, asset.name) + path: data for path, data in FILES.items()}

    def keys(self, asset: MediaAsset) -> set[str]:
        base = video_base(asset.spec.owner, asset.name)
        return {key.removeprefix(base) for key in self.files if key.startswith(base)}

    async def size(self, key: str) -> int:
        return len(self._read("size", key))

    async def etag(self, key: str) -> str:
        self._read("etag", key)
        return self.original

    async def sizes(self, folder: str) -> dict[str, int]:
        return {key: len(data) for key, data in self.files.items() if key.startswith(folder)}

    async def text(self, key: str, limit: int) -> str:
        return self._read("text", key)[:limit].decode()

    async def copy(self, source: str, target: str) -> None:
        self.files[target] = self._read("copy", source)

    async def delete(self, keys: list[str]) -> None:
        for key in keys:
            self.files.pop(key, None)

    def _read(self, method: str, key: str) -> bytes:
        if method in self.refusing:
            raise StoreUnavailable(f"{method} {key}: AccessDenied")
        if key not in self.files:
            raise ObjectMissing(key)
        return self.files[key]


class Writing:
    """The API server's side of the port `StatusWriting`: the cache is the truth. The next `conflicts` are refused."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.conflicts = 0
        self.writes = 0

    async def replace(self, asset: MediaAsset, status: AssetStatus) -> bool:
        now = self._world.assets.get(asset.name)
        if now is None or self.conflicts > 0 or now.version != asset.version:
            self.conflicts -= 1
            return False
        self.writes += 1
        self.put(now, status)
        return True

    def put(self, asset: MediaAsset, status: AssetStatus | None, **metadata: Any) -> None:
        """Somebody writes; times are stored in whole seconds."""
        meta = AssetMeta(**{**dict(asset.metadata), "resource_version": str(asset.version + 1), **metadata})
        stored = asset.model_copy(update={"metadata": meta, "status": status})
        self._world.take(Kind.ASSET, "MODIFIED", an_asset_body(stored))


class Site:
    """A poller between the three."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.world = World()
        self.world.complete = True
        self.service, self.store, self.writing = Service(self.clock), Store(), Writing(self.world)
        self.poller = self.another()

    def another(self) -> Poller:
        """A poller that remembers nothing, as the next leader's."""
        writing, service = cast(StatusWriting, self.writing), cast(MediaConvert, self.service)
        store = cast(ObjectStore, self.store)
        submission = Submission(
            self.world,
            writing,
            store,
            service,
            role=ROLE,
            max_seconds=3600,
            clock=self.clock,
            seconds=lambda: self.clock().timestamp(),
            chance=lambda: 0.5,
        )
        self.poller = Poller(
            self.world,
            writing,
            store,
            service,
            submission,
            clock=self.clock,
            poll_seconds=0.05,
            chance=lambda: 0.5,
        )
        return self.poller

    def add(self, name: str | int = "a", **video: Any) -> MediaAsset:
        """A video for MediaConvert."""
        status = a_status(Reason.QUEUED, video=VideoStatus(backend=VideoBackend.MEDIACONVERT, **video))
        source = a_source(key=VIDEO_KEY, contentType="video/mp4")
        asset = an_asset(name, status, asset_type=AssetType.VIDEO, source=source)
        self.world.take(Kind.ASSET, "ADDED", an_asset_body(asset))
        return self.asset(name)

    def asset(self, name: str | int = "a") -> MediaAsset:
        return self.world.assets[an_id(name)]

    def status(self, name: str | int = "a") -> AssetStatus:
        status = self.asset(name).status
        assert status is not None
        return status

    def video(self, name: str | int = "a") -> VideoStatus:
        return video_of(self.asset(name))

    async def poll(self, rounds: int = 1, seconds: float = 30.0) -> None:
        """So many rounds, so far apart."""
        for _ in range(rounds):
            self.clock.advance(seconds)
            await self.poller.look()
            await self.poller.act()

    async def submitted(self, name: str | int = "a") -> str:
        """A video whose job's id is known."""
        self.add(name)
        await self.poller.act()
        job_id = self.video(name).job_id
        assert job_id is not None
        return job_id


def probe_result(**changes: Any) -> dict[str, Any]:
    """What Probe says of FILM."""
    video = {"Index": 1, "TrackType": "video", "Codec": "AVC", "VideoProperties": {"Width": 320, "Height": 180}}
    audio = {"Index": 2, "TrackType": "audio", "Codec": "AAC"}
    container = {"Format": "mp4", "Duration": 8.0, "Tracks": [video, audio], **changes}
    return {"Container": container}
