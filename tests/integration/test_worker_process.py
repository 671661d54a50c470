"""The real worker process against an API server, object storage and a decoder that obeys the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.deadlines import eventually
from support.s3_faults import Call, puts
from support.scripted_decoder import ScriptedDecoder, hangs_up, refuses
from support.worker_site import OWNER, Ground, Site, why


@pytest.fixture(scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with Ground.opened(tmp_path_factory.mktemp("ground")) as opened:
        yield opened


@pytest.fixture
async def site(ground: Ground) -> AsyncIterator[Site]:
    async with ground.site() as fresh:
        yield fresh


@pytest.fixture
async def decoder(site: Site) -> AsyncIterator[ScriptedDecoder]:
    async with ScriptedDecoder(site.socket) as scripted:
        yield scripted


async def test_an_assigned_image_is_completed_with_its_renditions(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound(body=b"0123456789")
    async with site.worker() as worker:
        status = await site.phase(asset_id, "Completed")
        assert why(status) == ("True", "Completed", "3 renditions are ready.")
        assert status["result"]["variants"][0] == {"name": "thumbnail", "width": 4, "height": 3, "bytes": 20}
        assert (status["result"]["width"], status["result"]["dominantColor"]) == (640, "#336699")
        assert {"startTime", "completionTime"} <= status.keys()
        assert site.renditions(asset_id) == {
            "thumbnail.webp": b"webp thumbnail of 10",
            "medium.webp": b"webp medium of 10",
            "large.webp": b"webp large of 10",
        }
        assert decoder.requests[0].header["limits"]["maxPixels"] == 50_000_000
        worker.terminate()
        assert await worker.exit_code() == 0
    logged = worker.logged("asset_completed")[0]
    assert logged["asset_id"] == asset_id
    assert {"fetched_ms", "decoded_ms", "uploaded_ms", "job", "pod"} <= logged.keys()


async def test_a_worker_without_work_ends_by_itself(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound()
    async with site.worker(MEDIA_IDLE_SECONDS="0.5") as worker:
        await site.phase(asset_id, "Completed")
        assert await worker.exit_code() == 0
    assert worker.logged("worker_ended")[0]["why"] == "idle"


async def test_a_worker_past_its_lifetime_finishes_what_it_has_and_ends(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound()
    decoder.hold()
    async with site.worker(MEDIA_MAX_LIFETIME_SECONDS="0.1") as worker:
        await site.phase(asset_id, "Processing")
        decoder.release()
        await site.phase(asset_id, "Completed")
        assert await worker.exit_code() == 0
    assert worker.logged("worker_ended")[0]["why"] == "past its lifetime"


async def test_no_more_images_than_allowed_are_decoded_at_once(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.hold()
    assets = [await site.bound() for _ in range(5)]
    async with site.worker(MEDIA_CONCURRENCY="2"):
        await decoder.asked(2)
        # One more is announced, so that a decoder which comes free does not wait for the report.
        await eventually(lambda: _in_phase(site, assets, "Processing", 3))
        assert decoder.most_at_once == 2
        decoder.release()
        for asset_id in assets:
            await site.phase(asset_id, "Completed")
    assert decoder.most_at_once == 2


@pytest.mark.failure("F1")
async def test_a_changed_original_fails_at_once(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound(etag="0" * 32)
    async with site.worker():
        status = await site.phase(asset_id, "Failed")
    assert why(status)[:2] == ("False", "SourceChanged")
    assert decoder.requests == []


@pytest.mark.failure("F1")
async def test_a_missing_original_fails_at_once(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound(key=f"uploads/image/{OWNER}/nothing.jpg")
    async with site.worker():
        assert why(await site.phase(asset_id, "Failed"))[:2] == ("False", "SourceMissing")


@pytest.mark.failure("F1")
async def test_an_original_that_is_too_large_is_not_even_fetched(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound(body=b"x" * 2000)
    async with site.worker(MEDIA_MAX_ORIGINAL_BYTES="1000"):
        status = await site.phase(asset_id, "Failed")
    assert why(status) == ("False", "TooLarge", "The original has 2000 bytes; 1000 are allowed.")
    assert site.faults.made() == []


async def test_an_original_in_a_foreign_bucket_is_not_fetched(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound(bucket="somebody-elses")
    async with site.worker():
        assert why(await site.phase(asset_id, "Failed"))[:2] == ("False", "ForeignSource")
    assert site.faults.made() == []


@pytest.mark.failure("F1")
async def test_a_picture_the_decoder_refuses_fails_with_its_words(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.script = refuses("TooManyPixels", "It has 60000000 pixels; 50000000 are allowed.")
    asset_id = await site.bound()
    async with site.worker():
        status = await site.phase(asset_id, "Failed")
    assert why(status) == ("False", "TooManyPixels", "It has 60000000 pixels; 50000000 are allowed.")


@pytest.mark.failure("F2")
@pytest.mark.parametrize("reason", ["DecoderCrashed", "DecoderOutOfMemory"])
async def test_an_asset_that_breaks_the_decoder_is_given_back_for_it(
    site: Site, decoder: ScriptedDecoder, reason: str
) -> None:
    decoder.script = refuses(reason, "The decoder died.")
    asset_id = await site.bound()
    async with site.worker():
        status = await site.phase(asset_id, "Pending")
    assert why(status) == ("Unknown", reason, "The decoder died.")
    assert (status["assignedJob"], status["attempts"]) == (site.job, 0)
    assert "startTime" not in status


async def test_a_decoder_that_comes_back_in_time_is_waited_for(site: Site, decoder: ScriptedDecoder) -> None:
    await decoder.stop()
    asset_id = await site.bound()
    async with site.worker(MEDIA_DECODER_PATIENCE_SECONDS="20"):
        await site.phase(asset_id, "Processing")
        await decoder.start()
        await site.phase(asset_id, "Completed")


async def test_without_a_decoder_the_asset_is_given_back_uncharged(site: Site) -> None:
    asset_id = await site.bound()
    async with site.worker(MEDIA_DECODER_PATIENCE_SECONDS="0.5"):
        status = await site.phase(asset_id, "Pending")
    assert why(status)[1] == "InternalError"


@pytest.mark.failure("F14")
async def test_an_asset_that_takes_too_long_fails_and_frees_its_decoder(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.hold()
    asset_id = await site.bound()
    async with site.worker(MEDIA_ASSET_TIMEOUT_SECONDS="1"):
        status = await site.phase(asset_id, "Failed")
        assert why(status)[1:] == ("DeadlineExceeded", "It was not decoded within 1 s.")
        await decoder.idle()
    assert decoder.hung_up == 1


@pytest.mark.failure("F5")
async def test_sigterm_lets_running_work_finish_and_gives_back_the_rest(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.hold()
    assets = [await site.bound() for _ in range(4)]
    async with site.worker(MEDIA_PREFETCH="2") as worker:
        await decoder.asked(1)
        await eventually(lambda: _in_phase(site, assets, "Processing", 2))
        worker.terminate()
        # The other one that was begun was only announced, and nothing of it runs.
        [running] = await eventually(lambda: _in_phase(site, assets, "Processing", 1))
        for asset_id in {*assets} - {running}:
            assert why(await site.phase(asset_id, "Pending"))[1] == "Draining"
        late = await site.bound()
        assert why(await site.phase(late, "Pending"))[1] == "Draining"
        decoder.release()
        await site.phase(running, "Completed")
        assert await worker.exit_code() == 0
    assert len(site.renditions(running)) == 3


@pytest.mark.failure("F5")
async def test_what_does_not_finish_in_the_time_of_grace_is_given_back(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.hold()
    asset_id = await site.bound()
    async with site.worker(MEDIA_DRAIN_SECONDS="0.5") as worker:
        await site.phase(asset_id, "Processing")
        worker.terminate()
        status = await site.phase(asset_id, "Pending")
        assert await worker.exit_code() == 0
    assert why(status)[1] == "Draining"
    assert "startTime" not in status


@pytest.mark.failure("F6")
async def test_an_asset_bound_elsewhere_meanwhile_is_not_written_by_the_first_worker(
    site: Site, decoder: ScriptedDecoder
) -> None:
    decoder.hold()
    asset_id = await site.bound()
    async with site.worker() as worker:
        await site.phase(asset_id, "Processing")
        await site.bind(asset_id, "default-ffff-2")
        await decoder.idle()
        worker.terminate()
        assert await worker.exit_code() == 0
    status = (await site.asset(asset_id))["status"]
    assert (status["phase"], status["assignedJob"], status["binding"]) == ("Scheduled", "default-ffff-2", 2)
    assert site.renditions(asset_id) == {}


@pytest.mark.failure("F6")
async def test_the_fence_holds_even_when_the_watch_did_not_tell(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.hold()
    asset_id = await site.bound()
    async with site.worker() as worker:
        await site.phase(asset_id, "Processing")
        site.cluster.faults.add("silentWatch", verbs=["watch"], resource="mediaassets")
        await site.bind(asset_id, "default-ffff-2")
        decoder.release()
        await worker.says("report_dropped")
    status = (await site.asset(asset_id))["status"]
    assert (status["phase"], status["binding"]) == ("Scheduled", 2)
    assert "result" not in status


async def test_an_asset_bound_again_to_the_same_worker_is_run_again(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.hold()
    asset_id = await site.bound()
    async with site.worker():
        await site.phase(asset_id, "Processing")
        await site.bind(asset_id)
        decoder.release()
        status = await site.phase(asset_id, "Completed")
    assert status["binding"] == 2
    assert len(site.renditions(asset_id)) == 3


@pytest.mark.failure("F10")
async def test_storage_that_keeps_failing_gives_the_asset_back_uncharged(site: Site, decoder: ScriptedDecoder) -> None:
    site.faults.fail(500, puts)
    asset_id = await site.bound()
    async with site.worker():
        status = await site.phase(asset_id, "Pending")
    assert why(status)[:2] == ("Unknown", "StorageUnavailable")
    assert status["attempts"] == 0


@pytest.mark.failure("F10")
async def test_a_short_trouble_of_storage_is_sat_out(site: Site, decoder: ScriptedDecoder) -> None:
    site.faults.fail(503, count=4)
    asset_id = await site.bound()
    async with site.worker(MEDIA_STORAGE_PATIENCE_SECONDS="20"):
        await site.phase(asset_id, "Completed")
    assert len(site.renditions(asset_id)) == 3


@pytest.mark.failure("F12")
async def test_a_result_is_held_while_the_api_server_is_away(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.hold()
    asset_id = await site.bound()
    async with site.worker() as worker:
        await site.phase(asset_id, "Processing")
        site.cluster.faults.go_down()
        decoder.release()
        await worker.says("report_held")
        assert len(site.renditions(asset_id)) == 3
        site.cluster.faults.come_back()
        await site.phase(asset_id, "Completed")
        await site.phase(await site.bound(), "Completed")
    assert len(decoder.requests) == 2


@pytest.mark.failure("F12")
async def test_a_report_whose_answer_was_lost_is_not_made_twice(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound()
    site.cluster.faults.add("loseAnswer", verbs=["patch"], resource="mediaassets", subresource="status", times=1)
    async with site.worker():
        await site.phase(asset_id, "Completed")
    assert len(decoder.requests) == 1


async def test_a_busy_api_server_is_asked_again_when_it_says(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound()
    site.cluster.faults.add(
        "tooManyRequests", verbs=["patch"], resource="mediaassets", subresource="status", times=2, seconds=1
    )
    async with site.worker():
        await site.phase(asset_id, "Completed")


async def test_work_goes_on_after_the_watch_expired(site: Site, decoder: ScriptedDecoder) -> None:
    first = await site.bound()
    async with site.worker() as worker:
        await site.phase(first, "Completed")
        away = site.cluster.faults.add("serverError", verbs=["watch"], resource="mediaassets")
        site.cluster.faults.drop_watches("mediaassets")
        second = await site.bound()
        site.cluster.store.compact()
        site.cluster.faults.remove(away)
        await site.phase(second, "Completed")
        assert worker.logged("watch_expired")
    assert len(decoder.requests) == 2


@pytest.mark.failure("F16")
async def test_an_asset_deleted_while_it_is_decoded_is_given_back_without_renditions(
    site: Site, decoder: ScriptedDecoder
) -> None:
    decoder.hold()
    asset_id = await site.bound()
    async with site.worker():
        await site.phase(asset_id, "Processing")
        await site.delete(asset_id)
        status = await site.phase(asset_id, "Pending")
        assert why(status)[1] == "Deleted"
        await decoder.idle()
    assert site.renditions(asset_id) == {}


@pytest.mark.failure("F16")
async def test_an_asset_deleted_while_its_renditions_upload_is_given_back_after_the_last_put(
    site: Site, decoder: ScriptedDecoder
) -> None:
    site.faults.delay(1.5, puts)
    asset_id = await site.bound()
    async with site.worker() as worker:
        await site.faults.asked(puts, count=2)
        await site.delete(asset_id)
        status = await site.phase(asset_id, "Pending")
        given_back = asyncio.get_running_loop().time()
        worker.terminate()
        assert await worker.exit_code() == 0
    assert why(status)[1] == "Deleted"

    def running_after(call: Call) -> bool:
        return puts(call) and (call.ended is None or call.ended > given_back)

    assert site.faults.made(running_after) == []


@pytest.mark.failure("F16")
async def test_an_asset_deleted_before_it_began_is_given_back(site: Site, decoder: ScriptedDecoder) -> None:
    asset_id = await site.bound()
    await site.delete(asset_id)
    async with site.worker():
        assert why(await site.phase(asset_id, "Pending"))[1] == "Deleted"
    assert site.faults.made() == []


async def test_an_asset_that_vanishes_is_dropped(site: Site, decoder: ScriptedDecoder) -> None:
    decoder.hold()
    asset_id = await site.bound()
    async with site.worker() as worker:
        await site.phase(asset_id, "Processing")
        await site.forget(asset_id)
        await decoder.idle()
        worker.terminate()
        assert await worker.exit_code() == 0
    assert worker.logged("asset_dropped")[0]["asset_id"] == asset_id


@pytest.mark.failure("F2")
async def test_an_asset_on_which_the_decoder_dies_twice_is_given_back_for_it(
    site: Site, decoder: ScriptedDecoder
) -> None:
    decoder.script = hangs_up
    asset_id = await site.bound()
    async with site.worker():
        status = await site.phase(asset_id, "Pending")
    assert why(status)[1:] == ("DecoderCrashed", "The decoder died 2 times while it worked on this image.")
    assert len(decoder.requests) == 2


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("MEDIA_RENDITIONS", "not json", "MEDIA_RENDITIONS is wrong"),
        ("MEDIA_CONCURRENCY", "many", "MEDIA_CONCURRENCY is wrong"),
        ("MEDIA_JOB_NAME", "", "MEDIA_JOB_NAME is required"),
        ("KUBECONFIG", "/nowhere/kubeconfig", "kube"),
    ],
)
async def test_a_wrong_setting_is_said_and_ends_the_process_with_78(
    site: Site, setting: str, value: str, said: str
) -> None:
    async with site.worker(**{setting: value}) as worker:
        assert await worker.exit_code() == 78
    assert said in "\n".join(worker.lines)


async def _in_phase(site: Site, assets: list[str], phase: str, count: int) -> set[str] | None:
    """Those in that phase, once there are so many."""
    found = {asset_id for asset_id in assets if (await site.asset(asset_id))["status"]["phase"] == phase}
    return found if len(found) == count else None
