"""The worker process of films against an API server, object storage and a transcoder that obeys the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from media_core.ladder import LONGEST_SECONDS
from support.deadlines import eventually
from support.film_site import FilmSite
from support.s3_faults import Call, gets, puts
from support.scripted_transcoder import (
    FILES,
    ScriptedTranscoder,
    hangs_up,
    leaves,
    refuses,
    works_forever,
)
from support.worker_site import Ground, why


@pytest.fixture(scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with Ground.opened(tmp_path_factory.mktemp("ground")) as opened:
        yield opened


@pytest.fixture
async def films(ground: Ground) -> AsyncIterator[FilmSite]:
    async with FilmSite.on(ground) as site:
        yield site


@pytest.fixture
async def transcoder(films: FilmSite) -> AsyncIterator[ScriptedTranscoder]:
    async with ScriptedTranscoder(films.site.socket, films.folder) as scripted:
        yield scripted


async def test_a_video_is_completed_with_everything_that_was_made_of_it(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    asset_id = await films.bound()
    async with films.worker() as worker:
        status = await films.site.phase(asset_id, "Completed")
        worker.terminate()
        assert await worker.exit_code() == 0
    assert why(status) == ("True", "Completed", "Transcoded by ffmpeg.")
    assert status["video"] == {"backend": "ffmpeg", "progressPercent": 100, "durationSeconds": 8}
    assert status["result"] == {
        "width": 320,
        "height": 180,
        "frames": 1,
        "variants": [
            {"name": "180p", "width": 320, "height": 180, "bytes": 150},
            {"name": "video", "width": 320, "height": 180, "bytes": 70},
            {"name": "thumbnail", "width": 320, "height": 180, "bytes": 7},
        ],
    }
    assert films.stored(asset_id) == FILES
    (job,) = transcoder.jobs
    assert job.request["film"] == asset_id
    assert job.request["limits"]["maxSeconds"] == LONGEST_SECONDS
    assert job.request["limits"]["maxOutputBytes"] == (19 << 30) - len(b"a film")
    assert films.leftovers() == []
    assert {"fetched_ms", "transcoded_ms", "uploaded_ms"} <= worker.logged("asset_completed")[0].keys()


async def test_everything_is_stored_for_browsers_to_play_and_keep(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    asset_id = await films.bound()
    async with films.worker():
        await films.site.phase(asset_id, "Completed")
    kinds = {
        "m3u8": "application/vnd.apple.mpegurl",
        "ts": "video/mp2t",
        "mp4": "video/mp4",
        "jpg": "image/jpeg",
    }
    kept = "public, max-age=31536000, immutable"
    assert films.content_types(asset_id) == {path: (kinds[path.rpartition(".")[2]], kept) for path in FILES}


async def test_the_playlists_come_last_and_the_master_after_them(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    asset_id = await films.bound()
    async with films.worker():
        await films.site.phase(asset_id, "Completed")
    stored = [call.key.rpartition(f"{asset_id}/")[2] for call in films.site.faults.made(puts)]
    assert sorted(stored[:2]) == ["hls/master_180p_00001.ts", "hls/master_180p_00002.ts"]
    assert stored[2:] == ["video.mp4", "thumbnail.jpg", "hls/master_180p.m3u8", "hls/master.m3u8"]


async def test_segments_are_stored_and_progress_is_told_while_the_film_is_made(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    transcoder.script = works_forever
    asset_id = await films.bound()
    async with films.worker() as worker:
        status = await films.site.until(
            asset_id, lambda status: (status.get("video") or {}).get("durationSeconds") == 8
        )
        assert (status["phase"], status["video"]["backend"]) == ("Processing", "ffmpeg")
        await films.site.until(asset_id, lambda status: status["video"]["progressPercent"] == 50)
        await eventually(lambda: list(films.stored(asset_id)) == ["hls/master_180p_00001.ts"])
        worker.kill()
        await worker.exit_code()


async def test_a_worker_that_ends_gives_the_film_back_when_its_time_is_over(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    transcoder.script, transcoder.lingers = works_forever, 0.5
    asset_id = await films.bound()
    async with films.worker(MEDIA_DRAIN_SECONDS="0.5") as worker:
        await films.site.phase(asset_id, "Processing")
        await transcoder.asked()
        worker.terminate()
        status = await films.site.phase(asset_id, "Pending")
        assert await worker.exit_code() == 0
    assert why(status)[1] == "Draining"
    assert transcoder.hung_up == 1
    assert films.leftovers() == []


async def test_a_film_that_is_deleted_is_let_go_of_when_nothing_of_it_runs(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    transcoder.script = works_forever
    asset_id = await films.bound()
    async with films.worker():
        await films.site.phase(asset_id, "Processing")
        await transcoder.asked()
        await films.site.delete(asset_id)
        status = await films.site.phase(asset_id, "Pending")
        assert why(status)[1] == "Deleted"
        assert transcoder.hung_up == 1
        assert films.leftovers() == []


async def test_the_next_film_is_begun_when_the_last_one_is_done(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    assets = [await films.bound() for _ in range(3)]
    async with films.worker():
        for asset_id in assets:
            await films.site.phase(asset_id, "Completed")
    assert sorted(job.request["film"] for job in transcoder.jobs) == sorted(assets)


async def test_what_an_earlier_worker_left_on_the_disk_is_removed_first(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    deep = films.folder / "earlier"
    for _ in range(50):
        deep = deep / "deeper"
    deep.mkdir(parents=True)
    (deep / "link").symlink_to(films.place)
    asset_id = await films.bound()
    async with films.worker():
        await films.site.phase(asset_id, "Completed")
    assert films.leftovers() == []
    assert films.place.exists()


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        ("UnsupportedFormat", "Failed"),
        ("TooLong", "Failed"),
        ("Undecodable", "Failed"),
        ("DecoderOutOfMemory", "Pending"),
        ("InternalError", "Pending"),
    ],
)
async def test_a_refusal_of_the_transcoder_decides_the_outcome(
    films: FilmSite, transcoder: ScriptedTranscoder, reason: str, phase: str
) -> None:
    transcoder.script = refuses(reason, "It is as it is.")
    asset_id = await films.bound()
    async with films.worker():
        status = await films.site.phase(asset_id, phase)
    assert why(status)[1] == reason
    assert "It is as it is." in why(status)[2]
    assert films.leftovers() == []


async def test_a_transcoder_that_dies_on_a_film_makes_it_a_suspect(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    transcoder.script = hangs_up
    asset_id = await films.bound()
    async with films.worker():
        status = await films.site.phase(asset_id, "Pending")
    assert why(status)[1] == "DecoderCrashed"
    assert len(transcoder.jobs) == 1


async def test_a_transcoder_that_is_not_there_blames_nobody(films: FilmSite) -> None:
    asset_id = await films.bound()
    async with films.worker(MEDIA_DECODER_PATIENCE_SECONDS="0.3"):
        status = await films.site.phase(asset_id, "Pending")
    assert why(status)[1] == "InternalError"
    assert "did not answer" in why(status)[2]


async def test_a_film_over_its_time_fails(films: FilmSite, transcoder: ScriptedTranscoder) -> None:
    transcoder.script = works_forever
    asset_id = await films.bound()
    async with films.worker(MEDIA_ASSET_TIMEOUT_SECONDS="1"):
        status = await films.site.phase(asset_id, "Failed")
    assert why(status)[1:] == ("DeadlineExceeded", "It was not transcoded within 1 s.")
    assert transcoder.hung_up == 1


async def test_a_changed_original_fails_before_anything_is_made(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    asset_id = await films.bound(etag="0123456789abcdef0123456789abcdef")
    async with films.worker():
        status = await films.site.phase(asset_id, "Failed")
    assert why(status)[1] == "SourceChanged"
    assert transcoder.jobs == []


@pytest.mark.parametrize("matches", [puts, gets])
async def test_object_storage_that_is_unwell_gives_the_film_back(
    films: FilmSite, transcoder: ScriptedTranscoder, matches: Callable[[Call], bool]
) -> None:
    films.site.faults.fail(503, matches)
    asset_id = await films.bound()
    async with films.worker():
        status = await films.site.phase(asset_id, "Pending")
    assert why(status)[1] == "StorageUnavailable"
    assert films.leftovers() == []


async def test_a_segment_that_cannot_be_stored_ends_the_transcoding(
    films: FilmSite, transcoder: ScriptedTranscoder
) -> None:
    transcoder.script = works_forever
    films.site.faults.fail(503, puts)
    asset_id = await films.bound()
    async with films.worker():
        status = await films.site.phase(asset_id, "Pending")
        assert transcoder.hung_up == 1
    assert why(status)[1] == "StorageUnavailable"


async def test_neither_worker_takes_what_is_the_others(films: FilmSite, transcoder: ScriptedTranscoder) -> None:
    image, video = await films.site.bound(), await films.bound()
    async with films.worker():
        status = await films.site.phase(image, "Failed")
        assert why(status)[1:] == ("UnsupportedFormat", "This worker makes films of videos, not of IMAGE.")
        await films.site.phase(video, "Completed")
    another = await films.bound()
    async with films.site.worker():
        status = await films.site.phase(another, "Failed")
        assert why(status)[1:] == ("UnsupportedFormat", "This worker makes renditions of images, not of VIDEO.")


async def test_a_disk_that_cannot_be_used_blames_nobody(films: FilmSite, transcoder: ScriptedTranscoder) -> None:
    asset_id = await films.bound()
    async with films.worker(MEDIA_FILM_FOLDER=str(films.place / "missing")):
        status = await films.site.phase(asset_id, "Pending")
    assert why(status)[1] == "InternalError"
    assert "disk for films" in why(status)[2]


async def test_a_second_try_writes_the_same_keys(films: FilmSite, transcoder: ScriptedTranscoder) -> None:
    transcoder.script = hangs_up
    asset_id = await films.bound()
    async with films.worker():
        await films.site.phase(asset_id, "Pending")
        transcoder.script = leaves(FILES)
        await films.site.bind(asset_id)
        await films.site.phase(asset_id, "Completed")
    assert films.stored(asset_id) == FILES
