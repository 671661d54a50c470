"""The self-test of an installed service: it passes where the service works, and says where it does not."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import pytest
from PIL import Image

from media_api.selftest import HEIGHT, OWNER, WIDTH, SelftestFailed, SelftestSettings, is_webp, picture, run
from media_core.asset import AssetType
from media_core.keys import rendition_key
from media_devcluster.processes import inherited_environment
from media_devcluster.stack import Plan, Stack
from support.api_site import SECRET, ApiSite, token
from support.deadlines import eventually

Lines = list[Mapping[str, Any]]
ALL_STEPS = ["ask", "upload", "confirm", "process", "play", "delete"]


def settings(api: ApiSite, **more: Any) -> SelftestSettings:
    given = {"MEDIA_SELFTEST_URL": api.url, "MEDIA_JWT_SECRET": SECRET, "MEDIA_SELFTEST_TIMEOUT_SECONDS": 20}
    return SelftestSettings(**{**given, **more})


async def program(environment: Mapping[str, str], seconds: float) -> tuple[int | None, str, str]:
    """Code, standard output and standard error of the program."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "media_api.selftest"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited_environment(), **environment},
    )
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.slow
async def test_a_service_that_works_passes_step_by_step_and_keeps_nothing_of_it() -> None:
    with TemporaryDirectory(prefix="selftest-") as name:
        async with Stack(Plan(Path(name))) as stack:
            environment = {
                "MEDIA_SELFTEST_URL": stack.state.api_url,
                "MEDIA_JWT_SECRET": stack.state.token_secret,
                "MEDIA_SELFTEST_TIMEOUT_SECONDS": "60",
            }
            code, out, err = await program(environment, 70)
            assert (code, err) == (0, "")
            lines = [json.loads(line) for line in out.splitlines()]
            assert [line["step"] for line in lines] == ALL_STEPS
            assert all(line["seconds"] >= 0 for line in lines)
            assert lines[3]["variants"] == ["thumbnail", "medium", "large"]
            assert lines[4]["bytes"] > 50
            connection = await asyncpg.connect(stack.state.database_url, timeout=10)
            try:
                row = await connection.fetchrow("SELECT owner, state FROM media.assets")
            finally:
                await connection.close()
            assert row is not None
            assert (row["owner"], row["state"] in ("deleting", "deleted")) == (OWNER, True)


async def test_without_workers_it_ends_in_time_says_where_it_stands_and_deletes_the_picture(
    api: ApiSite, database: asyncpg.Connection
) -> None:
    lines: Lines = []
    with pytest.raises(SelftestFailed, match=r"^process: not done 4 s after the start\. It is PENDING: "):
        await run(settings(api, MEDIA_SELFTEST_TIMEOUT_SECONDS=4), lines.append)
    assert [line["step"] for line in lines] == ALL_STEPS[:3]
    assert await database.fetchval("SELECT state FROM media.assets") == "deleting"


async def test_a_picture_that_fails_is_told_with_its_reason(api: ApiSite, database: asyncpg.Connection) -> None:
    async def fail() -> None:
        await eventually(lambda: database.fetchval("SELECT count(*) FROM media.assets WHERE state = 'confirmed'"))
        await database.execute(
            "UPDATE media.assets SET state = 'settled', transcode_status = 'FAILED', reason = 'DecoderCrashed',"
            " message = 'The decoder died.'"
        )

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail())
        with pytest.raises(SelftestFailed, match=r"the picture failed\. It is FAILED: DecoderCrashed: The decoder"):
            await run(settings(api), lambda _: None)


async def test_a_rendition_that_is_no_webp_is_told(api: ApiSite, database: asyncpg.Connection, s3: Any) -> None:
    async def complete() -> None:
        found = await eventually(lambda: database.fetchrow("SELECT * FROM media.assets WHERE state = 'confirmed'"))
        asset_id = found["id"]
        variant = {"name": "thumbnail", "width": 150, "height": 113, "bytes": 6}
        result = {
            "width": WIDTH,
            "height": HEIGHT,
            "frames": 1,
            "placeholder": "AAAA",
            "dominantColor": "#336699",
            "variants": [variant],
            "recipeVersion": 1,
        }
        status = {"phase": "Completed", "result": result, "binding": 1, "attempts": 0}
        key = rendition_key(AssetType.IMAGE, OWNER, str(asset_id), "thumbnail")
        await asyncio.to_thread(s3.put_object, Bucket=api.ports.storage.bucket, Key=key, Body=b"<html>")
        await database.execute(
            "UPDATE media.assets SET state = 'settled', transcode_status = 'COMPLETED', status = $1",
            json.dumps(status),
        )

    lines: Lines = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(complete())
        with pytest.raises(SelftestFailed, match=r"^play: /media/serve/processed/\S+ is no WebP"):
            await run(settings(api), lines.append)
    assert [line["step"] for line in lines] == ALL_STEPS[:4]


async def test_a_token_that_is_given_is_the_one_that_is_used(api: ApiSite, database: asyncpg.Connection) -> None:
    given = {"MEDIA_JWT_SECRET": None, "MEDIA_SELFTEST_TOKEN": token("carol"), "MEDIA_SELFTEST_TIMEOUT_SECONDS": 4}
    with pytest.raises(SelftestFailed, match=r"^process: "):
        await run(settings(api, **given), lambda _: None)
    assert await database.fetchval("SELECT owner FROM media.assets") == "carol"


async def test_a_wrong_secret_is_told_at_the_first_step(api: ApiSite) -> None:
    with pytest.raises(
        SelftestFailed, match=r"^ask: POST http://\S+/upload was answered 401, not 201: .*unauthorized"
    ):
        await run(settings(api, MEDIA_JWT_SECRET="x" * 40), lambda _: None)


async def test_object_storage_that_cannot_be_reached_is_told_without_the_secrets_of_the_url(
    api: ApiSite, unused_tcp_port: int
) -> None:
    away = {"MEDIA_SELFTEST_S3_ENDPOINT_URL": f"http://127.0.0.1:{unused_tcp_port}"}
    with pytest.raises(SelftestFailed, match=r"^upload: PUT http://\S+\.png was not answered: ") as failed:
        await run(settings(api, **away), lambda _: None)
    assert "MEDIA_SELFTEST_S3_ENDPOINT_URL" in str(failed.value)
    assert "X-Amz-Signature" not in str(failed.value)


async def test_an_api_that_is_not_there_is_told_with_code_1(unused_tcp_port: int) -> None:
    environment = {"MEDIA_SELFTEST_URL": f"http://127.0.0.1:{unused_tcp_port}", "MEDIA_JWT_SECRET": SECRET}
    code, out, err = await program(environment, 20)
    assert (code, out) == (1, "")
    assert err.startswith(f"ask: POST http://127.0.0.1:{unused_tcp_port}/api/v1/media/upload was not answered")


async def test_settings_that_cannot_work_are_told_with_code_78() -> None:
    code, _, err = await program({"MEDIA_SELFTEST_URL": "http://127.0.0.1:1"}, 20)
    assert code == 78
    assert "MEDIA_SELFTEST_TOKEN" in err
    code, _, err = await program({"MEDIA_JWT_SECRET": SECRET}, 20)
    assert code == 78
    assert "MEDIA_SELFTEST_URL is required" in err


def test_the_picture_is_one_that_shows_something() -> None:
    with Image.open(io.BytesIO(picture())) as image:
        image.load()
        assert (image.format, image.size, image.mode) == ("PNG", (WIDTH, HEIGHT), "RGB")
        assert image.getpixel((0, 0)) == (0, 0, 128)
        assert image.getpixel((WIDTH - 1, HEIGHT - 1)) == (254, 253, 128)


def test_a_webp_is_known_from_what_is_none() -> None:
    written = io.BytesIO()
    Image.new("RGB", (4, 4)).save(written, "WEBP")
    content = written.getvalue()
    assert is_webp(content)
    for other in (content[:-1], content + b"x", b"<html>", b"", picture()):
        assert not is_webp(other)
