"""The real worker process with the real transcoder and ffmpeg, against an API server and object storage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from media_core.containers import TRANSCODER_BYTES, WorkerImage
from media_core.ladder import Film, ladder
from media_core.manifests import worker_job
from media_core.names import VIDEO_POOL
from support.build import a_pool
from support.clips import clip, probed, streams
from support.deadlines import eventually
from support.film_site import FilmSite
from support.transcoder_program import running, transcoder
from support.worker_site import NAMESPACE, Ground, why

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with Ground.opened(tmp_path_factory.mktemp("ground")) as opened:
        yield opened


@pytest.fixture
async def films(ground: Ground) -> AsyncIterator[FilmSite]:
    async with FilmSite.on(ground) as site:
        yield site


def laid_out(files: dict[str, bytes], folder: Path) -> Path:
    """The stored files as a folder, for programs that read files."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


async def test_a_bound_video_becomes_a_film_that_plays(films: FilmSite, tmp_path: Path) -> None:
    original = clip(tmp_path, width=1920, height=1080, seconds=9.0)
    asset_id = await films.bound(original.read_bytes())
    async with transcoder(films.place), films.worker() as worker:
        status = await films.site.phase(asset_id, "Completed", 120)
        worker.terminate()
        assert await worker.exit_code() == 0
    assert why(status) == ("True", "Completed", "Transcoded by ffmpeg.")
    assert status["video"] == {"backend": "ffmpeg", "progressPercent": 100, "durationSeconds": 9}
    made = films.stored(asset_id)
    assert [(v["name"], v["width"], v["height"]) for v in status["result"]["variants"]] == [
        ("720p", 1280, 720),
        ("1080p", 1920, 1080),
        ("video", 1920, 1080),
        ("thumbnail", 640, 360),
    ]
    assert status["result"]["variants"][0]["bytes"] == sum(
        len(content) for path, content in made.items() if path.startswith("hls/master_720p_")
    )
    assert status["result"]["variants"][2]["bytes"] == len(made["video.mp4"])
    folder = laid_out(made, tmp_path / "stored")
    for rung in ladder(Film(1920, 1080, 0, 9.0, True)):
        (picture,) = streams(folder / "hls" / f"master_{rung.name}.m3u8", "video")
        assert (picture["codec_name"], picture["width"], picture["height"]) == ("h264", rung.width, rung.height)
    assert float(probed(folder / "video.mp4")["format"]["duration"]) == pytest.approx(9.0, abs=0.3)
    assert streams(folder / "thumbnail.jpg", "video")[0]["codec_name"] == "mjpeg"
    assert films.leftovers() == []


async def test_a_worker_that_ends_in_the_middle_of_a_film_gives_it_back(films: FilmSite, tmp_path: Path) -> None:
    asset_id = await films.bound(long_film(tmp_path))
    async with transcoder(films.place) as program, films.worker(MEDIA_DRAIN_SECONDS="0.2") as worker:
        await films.site.phase(asset_id, "Processing")
        await program.at_work()
        worker.terminate()
        status = await films.site.phase(asset_id, "Pending")
        assert program.children() == []
        assert await worker.exit_code() == 0
    assert why(status)[1] == "Draining"
    assert films.leftovers() == []


async def test_a_film_that_is_deleted_while_it_is_made_is_let_go_of(films: FilmSite, tmp_path: Path) -> None:
    asset_id = await films.bound(long_film(tmp_path))
    async with transcoder(films.place) as program, films.worker():
        await films.site.phase(asset_id, "Processing")
        await program.at_work()
        await films.site.delete(asset_id)
        status = await films.site.phase(asset_id, "Pending")
        assert program.children() == []
    assert why(status)[1] == "Deleted"
    assert films.leftovers() == []


async def test_a_transcoder_that_is_killed_in_the_middle_of_a_film_makes_it_a_suspect_and_the_next_try_goes_well(
    films: FilmSite, tmp_path: Path
) -> None:
    asset_id = await films.bound(long_film(tmp_path))
    async with films.worker():
        async with transcoder(films.place) as program:
            await films.site.phase(asset_id, "Processing")
            ffmpeg = await program.at_work()
            program.process.kill()
            status = await films.site.phase(asset_id, "Pending")
            assert why(status)[1] == "DecoderCrashed"
            await eventually(lambda: not running(ffmpeg))
        async with transcoder(films.place):
            await films.site.bind(asset_id)
            await films.site.phase(asset_id, "Completed", 120)
    assert "hls/master.m3u8" in films.stored(asset_id)


async def test_segments_are_there_before_the_film_is_whole(films: FilmSite, tmp_path: Path) -> None:
    asset_id = await films.bound(long_film(tmp_path))
    async with transcoder(films.place), films.worker():
        await eventually(lambda: films.stored(asset_id), 60)
        status = await films.site.phase(asset_id, "Processing")
        assert all(path.endswith(".ts") for path in films.stored(asset_id))
        status = await films.site.until(asset_id, lambda seen: (seen["video"].get("progressPercent") or 0) > 0, 60)
        assert status["video"]["durationSeconds"] == 60


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"#EXTM3U\n#EXTINF:4,\nhttps://example.org/a.ts\n#EXT-X-ENDLIST\n", "UnsupportedFormat"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(500), "Undecodable"),
    ],
)
async def test_what_is_no_video_fails_with_a_reason(films: FilmSite, content: bytes, reason: str) -> None:
    asset_id = await films.bound(content)
    async with transcoder(films.place), films.worker():
        status = await films.site.phase(asset_id, "Failed", 60)
    assert why(status)[1] == reason
    assert films.stored(asset_id) == {}


async def test_a_film_of_4k_has_all_rungs_within_the_memory_of_its_container(films: FilmSite, tmp_path: Path) -> None:
    asset_id = await films.bound(clip(tmp_path, width=3840, height=2160, seconds=2.0).read_bytes())
    async with transcoder(films.place, TRANSCODER_BYTES), films.worker():
        status = await films.site.phase(asset_id, "Completed", 150)
    names = [variant["name"] for variant in status["result"]["variants"]]
    assert names == ["720p", "1080p", "4k", "video", "thumbnail"]


async def test_a_job_of_the_pool_of_films_runs_on_the_embedded_cluster_as_its_manifest_says(
    films: FilmSite, tmp_path: Path
) -> None:
    cluster, site = films.site.cluster, films.site
    storage = {
        "S3_BUCKET_MEDIA": site.bucket,
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_S3": site.faults.url,
    }
    pool = a_pool(VIDEO_POOL, idle_seconds=5)
    manifest = worker_job(pool, WorkerImage("worker:1", "media-worker", "media-s3", storage), 1)
    name, namespace = manifest["metadata"]["name"], NAMESPACE
    manifest["metadata"]["namespace"] = namespace
    del manifest["metadata"]["ownerReferences"]
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    (told,) = (entry for entry in container["env"] if entry["name"] == "MEDIA_NAMESPACE")
    told["value"] = namespace
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    async with aiohttp.ClientSession(cluster.url) as http:
        secret = {"metadata": {"name": "media-s3"}, "stringData": keys}
        for path, body in ((f"/api/v1/namespaces/{namespace}/secrets", secret), (jobs(namespace), manifest)):
            async with http.post(path, json=body) as answer:
                assert answer.status == 201, await answer.text()
        asset_id = await site.upload(clip(tmp_path, width=640, height=360).read_bytes(), "video/mp4")
        await site.bind(asset_id, name)
        status = await site.phase(asset_id, "Completed", 90)
        assert [variant["name"] for variant in status["result"]["variants"]] == ["360p", "video", "thumbnail"]

        async def over() -> bool:
            async with http.get(f"{jobs(namespace)}/{name}") as answer:
                found = (await answer.json())["status"].get("conditions") or ()
            return any(condition["type"] == "Complete" for condition in found)

        await eventually(over, 60, pause=0.2)


def jobs(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def long_film(folder: Path) -> bytes:
    """A film that takes some seconds to be made."""
    return clip(folder, "long.mp4", width=1280, height=720, seconds=60.0).read_bytes()
