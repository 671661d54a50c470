"""The way of one film, with object storage in memory and a transcoder in the test's hands: also a hostile one."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from media_core.asset import AssetType, MediaAsset, Source
from media_core.ladder import Film
from media_core.reasons import Reason
from media_worker.calls import SourceRefused, StorageUnavailable
from media_worker.carrying import Stopwatch
from media_worker.film_client import TranscoderClient
from media_worker.film_folder import clear
from media_worker.filming import Filming, FilmRecipe
from media_worker.report import Completed, Failed, GivenBack, Outcome, Progress
from media_worker.transcoder.protocol import Limits
from support.build import to_carry
from support.deadlines import eventually
from support.scripted_transcoder import (
    FILES,
    MASTER,
    PLAYLIST,
    Job,
    Script,
    ScriptedTranscoder,
    does,
    hangs_up,
    leaves,
    works_forever,
)

ASSET_ID = "00000000-0000-4000-8000-000000000001"
BASE = f"processed/video/alice/{ASSET_ID}/"


def video(**changes: Any) -> MediaAsset:
    return to_carry(AssetType.VIDEO, "uploads/video/alice/20260102T030405_1.mp4", "video/mp4", **changes)


@dataclass
class Memory:
    """Object storage in memory; `trouble` is raised where the original is read."""

    stored: dict[str, bytes] = field(default_factory=dict)
    trouble: Exception | None = None
    shrinking: str = "nothing"
    """A file that becomes empty before it is read."""

    async def fetch(self, source: Source, file: int) -> None:
        if self.trouble is not None:
            raise self.trouble
        os.write(file, b"x" * source.size_bytes)

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        self.stored[key.removeprefix(BASE)] = body

    async def put_file(self, key: str, file: int, size: int, content_type: str) -> None:
        self.stored[key.removeprefix(BASE)] = os.pread(file, size, 0)


@dataclass
class Free:
    """Always one's turn; notes what happened."""

    seen: list[str] = field(default_factory=list)
    told: list[Progress] = field(default_factory=list)

    async def fetched(self) -> None:
        self.seen.append("fetched")

    def decoded(self) -> None:
        self.seen.append("decoded")

    async def progressed(self, progress: Progress) -> None:
        self.told.append(progress)


@dataclass
class Studio:
    """One worker's way of films, its transcoder, and what it stored."""

    place: Path
    transcoder: ScriptedTranscoder
    memory: Memory = field(default_factory=Memory)
    turns: Free = field(default_factory=Free)

    async def outcome(self, subject: MediaAsset | None = None, seconds: float = 20, max_seconds: int = 100) -> Outcome:
        """What comes of a film."""
        recipe = FilmRecipe(
            bucket="media",
            folder=self.transcoder.folder,
            folder_bytes=20 << 30,
            max_original_bytes=100,
            max_seconds=max_seconds,
            asset_timeout_seconds=seconds,
            transcoder_patience_seconds=0.2,
            tell_seconds=0.01,
            look_seconds=0.01,
        )
        filming = Filming(recipe, self.memory, TranscoderClient(str(self.transcoder.socket)))
        watch = Stopwatch(asyncio.get_running_loop().time)
        done = await filming.carry(subject or video(), self.turns, watch)
        assert list(self.transcoder.folder.iterdir()) == []
        return done

    async def why_given_back(self, script: Script) -> str:
        """Why a film is given back, which must be the transcoder's fault and must not show a film."""
        self.transcoder.script = script
        done = await self.outcome()
        assert isinstance(done, GivenBack)
        assert done.reason is Reason.DECODER_CRASHED
        assert not {path for path in self.memory.stored if path.endswith(".m3u8")}
        return done.message


@asynccontextmanager
async def opened() -> AsyncIterator[Studio]:
    with tempfile.TemporaryDirectory(prefix="film-") as name:
        place = Path(name)
        (place / "film").mkdir()
        async with ScriptedTranscoder(place / "decoder.sock", place / "film") as transcoder:
            yield Studio(place, transcoder)


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with opened() as found:
        yield found


async def test_everything_that_is_made_is_stored(studio: Studio) -> None:
    done = await studio.outcome()
    assert isinstance(done, Completed)
    assert done.progress == Progress(100, 8)
    assert studio.memory.stored == FILES
    assert studio.turns.seen == ["fetched", "decoded"]
    assert studio.transcoder.jobs[0].request["limits"] == {
        "maxSeconds": 100,
        "timeoutSeconds": 20,
        "maxOutputBytes": (19 << 30) - 9,
    }


async def test_a_film_of_unknown_length_is_as_long_as_its_segments(studio: Studio) -> None:
    async def script(job: Job) -> None:
        await job.probed(durationSeconds=0)
        job.write()
        await job.say({"ok": True})

    studio.transcoder.script = script
    done = await studio.outcome()
    assert isinstance(done, Completed)
    assert done.progress == Progress(100, 8)


async def test_progress_is_told_and_never_that_all_is_there(studio: Studio) -> None:
    async def script(job: Job) -> None:
        await job.probed()
        for percent in (1, 60, 100):
            await job.say({"percent": percent})
            await eventually(lambda: studio.turns.told[-1:] == [Progress(min(percent, 99), 8)])  # noqa: B023
        await makes_quietly(job)

    studio.transcoder.script = script
    assert isinstance(await studio.outcome(), Completed)
    assert studio.turns.told[-3:] == [Progress(1, 8), Progress(60, 8), Progress(99, 8)]


async def makes_quietly(job: Job) -> None:
    job.write()
    await job.say({"ok": True})


REFUSED = [
    ("an image is not a video", video(asset_type=AssetType.IMAGE), Reason.UNSUPPORTED_FORMAT),
    ("another bucket is foreign", video(bucket="other"), Reason.FOREIGN_SOURCE),
    ("what was made is no original", video(key=f"{BASE}video.mp4"), Reason.FOREIGN_SOURCE),
    ("an original over the limit is too large", video(size_bytes=101), Reason.TOO_LARGE),
]


@pytest.mark.parametrize(("subject", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_is_not_acceptable_fails_unread(studio: Studio, subject: MediaAsset, reason: Reason) -> None:
    done = await studio.outcome(subject)
    assert isinstance(done, Failed)
    assert done.reason is reason
    assert studio.turns.seen == []


TROUBLE: list[tuple[Exception, Outcome]] = [
    (SourceRefused(Reason.SOURCE_CHANGED, "m"), Failed(Reason.SOURCE_CHANGED, "m")),
    (StorageUnavailable("It says 503."), GivenBack(Reason.STORAGE_UNAVAILABLE, "It says 503.")),
    (OSError(errno.ENOSPC, "full"), GivenBack(Reason.INTERNAL_ERROR, "The worker's disk for films is full.")),
    (OSError(errno.EIO, "bad"), GivenBack(Reason.INTERNAL_ERROR, "The worker's disk for films cannot be used: bad.")),
]


@pytest.mark.parametrize(("trouble", "expected"), TROUBLE)
async def test_trouble_with_the_original_decides_the_outcome(
    studio: Studio, trouble: Exception, expected: Outcome
) -> None:
    studio.memory.trouble = trouble
    assert await studio.outcome() == expected
    assert studio.transcoder.jobs == []


async def test_an_original_that_takes_for_ever_to_read_is_given_back(studio: Studio) -> None:
    class Slow(Memory):
        async def fetch(self, source: Source, file: int) -> None:
            await asyncio.get_running_loop().create_future()

    studio.memory = Slow()
    done = await studio.outcome(seconds=0.05)
    assert isinstance(done, GivenBack)
    assert done.reason is Reason.STORAGE_UNAVAILABLE


async def test_a_film_over_its_time_fails_and_is_ended(studio: Studio) -> None:
    studio.transcoder.script = works_forever
    done = await studio.outcome(seconds=0.2)
    assert done == Failed(Reason.DEADLINE_EXCEEDED, "It was not transcoded within 0 s.")
    assert studio.transcoder.hung_up == 1


async def test_when_a_film_is_cancelled_nothing_of_it_runs_any_more(studio: Studio) -> None:
    studio.transcoder.script, studio.transcoder.lingers = works_forever, 0.3
    task = asyncio.create_task(studio.outcome())
    await studio.transcoder.asked()
    loop = asyncio.get_running_loop()
    began = loop.time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.time() - began >= 0.3
    assert studio.transcoder.hung_up == 1
    assert list(studio.transcoder.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("film", "reason"),
    [(Film(320, 180, 0, 101.0), Reason.TOO_LONG), (Film(20000, 180, 0, 8.0), Reason.TOO_MANY_PIXELS)],
)
async def test_a_film_that_the_transcoder_should_have_refused_is_refused_here(
    studio: Studio, film: Film, reason: Reason
) -> None:
    async def script(job: Job) -> None:
        await job.probed(film)
        await asyncio.get_running_loop().create_future()

    studio.transcoder.script = script
    done = await studio.outcome()
    assert isinstance(done, Failed)
    assert done.reason is reason
    assert studio.transcoder.hung_up == 1


NONSENSE: dict[str, tuple[dict[str, Any], ...]] = {
    "it is done before it began": ({"ok": True},),
    "two films": ({"probed": "same"}, {"probed": "same"}),
    "a percentage beyond the end": ({"percent": 101},),
    "a reason of nobody's": ({"ok": False, "reason": "Completed", "message": "m"},),
    "no size": ({"probed": {}},),
    "no sense": ({"hello": 1},),
}


@pytest.mark.parametrize("case", NONSENSE)
async def test_a_transcoder_that_talks_nonsense_is_taken_for_broken(studio: Studio, case: str) -> None:
    async def script(job: Job) -> None:
        for frame in NONSENSE[case]:
            await (job.probed() if frame.get("probed") == "same" else job.say(frame))
        await asyncio.get_running_loop().create_future()

    assert "The transcoder died while it worked on this video" in await studio.why_given_back(script)


async def test_a_transcoder_that_hangs_up_is_taken_for_broken(studio: Studio) -> None:
    assert "broke off" in await studio.why_given_back(hangs_up)


async def test_a_transcoder_that_does_not_let_go_is_not_waited_for_for_ever(studio: Studio) -> None:
    studio.transcoder.script, studio.transcoder.lingers = works_forever, 30
    client = TranscoderClient(str(studio.transcoder.socket), farewell_seconds=0.1)
    task = asyncio.create_task(
        client.transcode(ASSET_ID, Limits(), probed=lambda film: None, progressed=lambda percent: None)
    )
    await studio.transcoder.asked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asyncio.shield(task), 5)


async def test_a_disk_that_somebody_goes_on_filling_is_said_to_be_so(studio: Studio) -> None:
    with closing_folder(studio.transcoder.folder) as root:
        (studio.transcoder.folder / "locked").mkdir()
        with pytest.raises(OSError, match="not empty after 0 rounds"):
            clear(root, rounds=0)


@contextmanager
def closing_folder(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield opened
    finally:
        os.close(opened)


async def test_what_was_left_on_the_disk_is_removed_first(studio: Studio) -> None:
    locked = studio.transcoder.folder / "earlier" / "locked"
    locked.mkdir(parents=True)
    (locked / "file").write_bytes(b"x")
    locked.chmod(0)
    (studio.transcoder.folder / "earlier" / "link").symlink_to(studio.place)
    assert isinstance(await studio.outcome(), Completed)
    assert studio.place.exists()


async def test_a_film_that_buries_its_folder_is_removed_all_the_same(studio: Studio) -> None:
    def dig(out: Path) -> None:
        here = os.open(out, os.O_RDONLY)
        for _ in range(1500):
            os.mkdir("d", dir_fd=here)
            there = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = there
        os.close(here)

    studio.transcoder.script = does(dig)
    assert isinstance(await studio.outcome(), Completed)


SECRET = b"what nobody is to see"


def _replaced(path: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def something(out: Path) -> None:
        (out / path).unlink()
        make(out / path)

    return something


def _secret(path: Path) -> Path:
    """A file of the machine's, beside the shared disk."""
    place = next(parent for parent in path.parents if (parent / "decoder.sock").exists())
    (place / "secret").write_bytes(SECRET)
    return place / "secret"


def _linked(path: Path) -> None:
    secret = _secret(path)
    path.symlink_to(secret)


def _hard_linked(path: Path) -> None:
    secret = _secret(path)
    os.link(secret, path)


def _hls_linked(out: Path) -> None:
    (out / "hls").rename(out / "elsewhere")
    (out / "hls").symlink_to("elsewhere")


def _filled(out: Path) -> None:
    for number in range(300):
        (out / "hls" / f"{number}").touch()


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link in place of a film": (_replaced("video.mp4", _linked), "video.mp4 cannot be opened"),
    "a second name of a file elsewhere": (_replaced("video.mp4", _hard_linked), "video.mp4 is no ordinary file"),
    "a pipe": (_replaced("thumbnail.jpg", os.mkfifo), "thumbnail.jpg is no ordinary file"),
    "a folder": (_replaced("thumbnail.jpg", Path.mkdir), "thumbnail.jpg is no ordinary file"),
    "an empty film": (_replaced("video.mp4", Path.touch), "video.mp4 is empty"),
    "a film that is missing": (lambda out: (out / "video.mp4").unlink(), "video.mp4 is missing"),
    "a link in place of the folder of segments": (_hls_linked, "hls is no folder"),
    "a segment that is a link": (_replaced("hls/master_180p_00002.ts", _linked), "cannot be opened"),
    "endless files": (_filled, "it holds more than 214 files"),
    "a segment that is missing": (lambda out: (out / "hls/master_180p_00002.ts").unlink(), "is missing or empty"),
    "a playlist that is no text": (lambda out: (out / "hls/master.m3u8").write_bytes(b"\xff"), "is no text"),
    "a playlist that is too long": (
        lambda out: (out / "hls/master.m3u8").write_bytes(b"#EXTM3U\n" * (1 << 20)),
        "4194304 are allowed",
    ),
    "a disk that is nearly full": (lambda out: os.truncate(out / "video.mp4", 20 << 30), "bytes together"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_what_is_no_film_is_not_stored_and_costs_an_attempt(studio: Studio, case: str) -> None:
    something, says = HOSTILE[case]
    message = await studio.why_given_back(does(something))
    assert message.startswith("The transcoder left what is no film: ")
    assert says in message
    assert SECRET not in studio.memory.stored.values()


FOREIGN = {
    "a segment from elsewhere": PLAYLIST.replace("master_180p_00002.ts", "https://example.org/a.ts"),
    "a segment of another rung": PLAYLIST.replace("master_180p_00002.ts", "master_720p_00002.ts"),
    "a key from elsewhere": PLAYLIST.replace(
        "#EXTINF", '#EXT-X-KEY:METHOD=AES-128,URI="https://example.org"\n#EXTINF'
    ),
    "a segment that is not there": PLAYLIST.replace("00002", "00003"),
    "no end": PLAYLIST.replace("#EXT-X-ENDLIST", ""),
    "a title": PLAYLIST.replace("4.000000,", "4.000000,<script>"),
}


@pytest.mark.parametrize("case", FOREIGN)
async def test_a_playlist_that_names_what_is_not_the_films_is_refused(studio: Studio, case: str) -> None:
    message = await studio.why_given_back(leaves({**FILES, "hls/master_180p.m3u8": FOREIGN[case].encode()}))
    assert message.startswith("The transcoder left what is no film: ")


async def test_a_master_of_other_sizes_than_the_ladders_is_refused(studio: Studio) -> None:
    other = {**FILES, "hls/master.m3u8": MASTER.replace("320x180", "640x360").encode()}
    assert "names other sizes" in await studio.why_given_back(leaves(other))


async def test_files_of_other_names_are_not_stored(studio: Studio) -> None:
    others = {"hls/evil.ts": b"e", "hls/master_720p_00001.ts": b"e", "index.html": b"e", "hls/x.ts.tmp": b"e"}
    studio.transcoder.script = leaves({**FILES, **others})
    assert isinstance(await studio.outcome(), Completed)
    assert studio.memory.stored == FILES
