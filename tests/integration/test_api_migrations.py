"""The schema: made once, whoever runs it and how often; and rows of the service before this one."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from media_api.migrations.main import DatabaseAway, newest, status, upgrade
from media_api.takeover import take_over
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from media_devcluster.processes import free_port
from support.api_site import ALICE, JPEG, api_site

OLD = """
CREATE TABLE public.media_assets (
    asset_id uuid PRIMARY KEY, user_id text NOT NULL, asset_type text NOT NULL, transcode_status text NOT NULL,
    s3_key text NOT NULL, original_filename text, content_type text, file_size_bytes bigint, hls_url text,
    thumbnail_url text, mediaconvert_job_id text, created_at timestamptz NOT NULL
)
"""


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(empty_database_url, timeout=10)
    yield connection
    await connection.close()


async def columns(connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'media' AND table_name = 'assets'"
    )
    return {row["column_name"] for row in rows}


async def test_an_empty_database_gets_the_ledger_and_nothing_outside_its_schema(
    empty_database_url: str, empty: asyncpg.Connection
) -> None:
    assert await upgrade(empty_database_url) == (None, newest())
    assert {"id", "owner", "state", "s3_key", "cr_uid", "resource_version", "purged_at"} <= await columns(empty)
    assert await empty.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


async def test_migrating_again_changes_nothing(empty_database_url: str) -> None:
    await upgrade(empty_database_url)
    assert await upgrade(empty_database_url) == (newest(), newest())
    assert await status(empty_database_url) == (newest(), newest())


async def test_several_at_once_take_turns(empty_database_url: str, empty: asyncpg.Connection) -> None:
    results = await asyncio.gather(*(upgrade(empty_database_url) for _ in range(4)))
    assert [after for _, after in results] == [newest()] * 4
    assert [before for before, _ in results].count(None) == 1
    assert await empty.fetchval("SELECT count(*) FROM media.alembic_version") == 1


async def test_a_database_that_is_away_is_waited_for_no_longer_than_told() -> None:
    with pytest.raises(DatabaseAway, match="did not answer for 1 seconds"):
        await upgrade(f"postgresql://media:x@127.0.0.1:{free_port()}/media", wait_seconds=1)


async def test_a_database_that_refuses_us_is_not_waited_for(empty_database_url: str) -> None:
    with pytest.raises(DatabaseAway, match="refused"):
        await upgrade(empty_database_url.rpartition("/")[0] + "/no_such_database", wait_seconds=30)


async def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """`media-migrate` as a process; its code and what it said."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "COVERAGE_", "LANG"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media_api.migrations.main",
        *arguments,
        env={**kept, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_the_command_says_where_the_database_stands_and_brings_it_up_to_date(empty_database_url: str) -> None:
    code, said = await run("status", MEDIA_DATABASE_URL=empty_database_url)
    assert (code, said) == (1, f"database: not migrated\nprogram:  {newest()}\n")
    code, said = await run(MEDIA_DATABASE_URL=empty_database_url.replace("postgresql://", "postgresql+asyncpg://"))
    assert code == 0, said
    assert json.loads(said.splitlines()[-1])["event"] == "database_migrated"
    assert (await run("status", MEDIA_DATABASE_URL=empty_database_url))[0] == 0


async def test_the_command_explains_itself_and_its_mistakes() -> None:
    code, said = await run("--help")
    assert code == 0
    assert "Safe to run again" in said
    code, said = await run()
    assert (code, "MEDIA_DATABASE_URL is required" in said) == (78, True)
    away = f"postgresql://media:x@127.0.0.1:{free_port()}/media"
    code, said = await run("--wait", "0", MEDIA_DATABASE_URL=away)
    assert (code, "did not answer" in said) == (1, True)


async def old_row(connection: asyncpg.Connection, **values: Any) -> UUID:
    asset_id = uuid4()
    row: dict[str, Any] = {
        "asset_id": asset_id,
        "user_id": ALICE,
        "asset_type": "IMAGE",
        "transcode_status": "COMPLETED",
        "s3_key": f"uploads/image/alice/20250101_{asset_id.hex[:8]}.png",
        "original_filename": "old.png",
        **values,
    }
    names = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(
        f"INSERT INTO public.media_assets ({names}, created_at) VALUES ({places}, '2025-01-01')", *row.values()
    )
    return asset_id


async def test_finished_rows_of_the_service_before_are_taken_over_as_they_are(
    empty_database_url: str, empty: asyncpg.Connection, object_store: S3, embedded_cluster: EmbeddedCluster, s3: Any
) -> None:
    await empty.execute(OLD)
    failed = await old_row(empty, transcode_status="FAILED")
    video = uuid4()
    folder = f"processed/video/alice/{video}"
    await old_row(
        empty,
        asset_id=video,
        asset_type="VIDEO",
        s3_key="uploads/video/alice/20250101_ab.mp4",
        content_type="video/mp4",
        file_size_bytes=5,
        hls_url=f"/media/stream/{folder}/hls/master.m3u8",
        thumbnail_url=f"/media/serve/{folder}/thumbnail.jpg",
    )
    await upgrade(empty_database_url)
    rows = {row["id"]: row for row in await empty.fetch("SELECT * FROM media.assets")}
    assert (rows[failed]["state"], rows[failed]["transcode_status"]) == ("settled", "FAILED")
    assert rows[failed]["content_type"] == "image/png"
    assert (rows[video]["state"], rows[video]["transcode_status"]) == ("settled", "COMPLETED")
    assert rows[video]["created_at"].year == 2025

    for name, body in (("hls/master.m3u8", b"#EXTM3U"), ("hls/v1_00001.ts", b"G"), ("thumbnail.jpg", JPEG)):
        s3.put_object(Bucket=object_store.bucket, Key=f"{folder}/{name}", Body=body)
    s3.put_object(Bucket=object_store.bucket, Key=f"{folder}/other.mp4", Body=b"x")
    async with api_site(empty_database_url, object_store, embedded_cluster) as api:
        played = (await api.call("GET", f"/api/v1/media/playback/{video}", owner=None)).json
        assert played["hls_url"] == f"/media/stream/{folder}/hls/master.m3u8"
        assert played["thumbnail_url"] == f"/media/serve/{folder}/thumbnail.jpg"
        playlist = await api.call("GET", played["hls_url"], owner=None)
        assert (playlist.body, playlist.headers["Content-Type"]) == (b"#EXTM3U", "application/vnd.apple.mpegurl")
        segment = await api.call("GET", f"/media/stream/{folder}/hls/v1_00001.ts", owner=None)
        assert (segment.status, segment.headers["Content-Type"]) == (200, "video/mp2t")
        assert (await api.call("GET", played["thumbnail_url"], owner=None)).status == 302
        assert (await api.call("GET", f"/media/stream/{folder}/other.mp4", owner=None)).status == 404
        listed = (await api.call("GET", "/api/v1/media/assets")).json["assets"]
        assert {asset["asset_id"] for asset in listed} == {str(failed), str(video)}


async def test_unfinished_rows_of_the_service_before_are_looked_at_and_processed_anew(
    empty_database_url: str, empty: asyncpg.Connection, object_store: S3, embedded_cluster: EmbeddedCluster, s3: Any
) -> None:
    await empty.execute(OLD)
    good = await old_row(empty, transcode_status="PROCESSING", s3_key=f"uploads/image/alice/{uuid4().hex}.jpg")
    missing = await old_row(empty, transcode_status="PENDING")
    foreign = await old_row(empty, transcode_status="PENDING", s3_key="elsewhere/picture.png")
    wrong = await old_row(empty, transcode_status="PENDING")
    await upgrade(empty_database_url)
    keys = {row["id"]: row["s3_key"] for row in await empty.fetch("SELECT id, s3_key FROM media.assets")}
    for asset_id, body in ((good, JPEG), (wrong, b"a text")):
        s3.put_object(Bucket=object_store.bucket, Key=keys[asset_id], Body=body)

    async with api_site(empty_database_url, object_store, embedded_cluster) as api:
        ports = api.ports
        await take_over(ports.ledger, ports.storage, ports.settings.limits)
        assert await take_over(ports.ledger, ports.storage, ports.settings.limits) == 0
    rows = {row["id"]: row for row in await empty.fetch("SELECT * FROM media.assets")}
    assert (rows[good]["state"], rows[good]["size_bytes"]) == ("confirmed", len(JPEG))
    assert rows[good]["etag"]
    assert rows[good]["content_type"] == "image/jpeg"
    settled = {asset_id: (row["state"], row["transcode_status"], row["reason"]) for asset_id, row in rows.items()}
    assert settled[missing] == ("settled", "FAILED", "SourceMissing")
    assert settled[foreign] == ("settled", "FAILED", "ForeignSource")
    assert settled[wrong] == ("settled", "FAILED", "UnsupportedFormat")


async def test_a_table_of_the_service_before_may_lack_columns_or_call_them_otherwise(
    empty_database_url: str, empty: asyncpg.Connection
) -> None:
    await empty.execute(
        "CREATE TABLE public.media_assets (id uuid PRIMARY KEY, owner_id uuid, asset_type varchar(10), s3_key text)"
    )
    asset_id, owner = uuid4(), uuid4()
    await empty.execute(
        "INSERT INTO public.media_assets VALUES ($1, $2, 'pdf', 'uploads/pdf/x/y.pdf'), ($3, $2, 'AUDIO', 'a')",
        asset_id,
        owner,
        uuid4(),
    )
    await upgrade(empty_database_url)
    (row,) = await empty.fetch("SELECT * FROM media.assets")
    assert (row["id"], row["owner"], row["asset_type"]) == (asset_id, str(owner), "PDF")
    assert (row["state"], row["content_type"]) == ("confirmed", "application/pdf")


async def test_a_foreign_table_of_that_name_is_left_alone(empty_database_url: str, empty: asyncpg.Connection) -> None:
    await empty.execute("CREATE TABLE public.media_assets (number integer)")
    await upgrade(empty_database_url)
    assert await empty.fetchval("SELECT count(*) FROM media.assets") == 0
