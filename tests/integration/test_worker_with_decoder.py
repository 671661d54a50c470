"""The real worker beside the real decoder: what a worker pod is, as two processes."""

from __future__ import annotations

import asyncio
import io
import random
import sys
from collections.abc import AsyncIterator

import pytest
from PIL import Image

from support.deadlines import eventually
from support.worker_site import Ground, Site, why


@pytest.fixture(scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    async with Ground.opened(tmp_path_factory.mktemp("ground")) as opened:
        yield opened


@pytest.fixture
async def site(ground: Ground) -> AsyncIterator[Site]:
    async with ground.site() as fresh:
        yield fresh


@pytest.fixture
async def real_decoder(site: Site) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "media_worker.decoder.server", "--socket", str(site.socket), "--children", "2")
    )
    await eventually(site.socket.exists)
    yield
    process.terminate()
    await process.wait()


def jpeg(width: int, height: int) -> bytes:
    """Noise, so that it is not small."""
    picture = Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3))
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=80)
    return target.getvalue()


async def test_a_photograph_becomes_webp_renditions(site: Site, real_decoder: None) -> None:
    asset_id = await site.bound(body=jpeg(1600, 900))
    async with site.worker():
        status = await site.phase(asset_id, "Completed", seconds=60)
    result = status["result"]
    assert (result["width"], result["height"], result["frames"]) == (1600, 900, 1)
    stored = site.renditions(asset_id)
    sizes = {}
    for variant in result["variants"]:
        content = stored[f"{variant['name']}.webp"]
        assert len(content) == variant["bytes"]
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.format == "WEBP"
            assert picture.size == (variant["width"], variant["height"])
            sizes[variant["name"]] = picture.size
    assert sizes == {"thumbnail": (150, 84), "medium": (600, 338), "large": (1200, 675)}


@pytest.mark.failure("F1")
async def test_a_picture_cut_short_fails_with_a_reason(site: Site, real_decoder: None) -> None:
    whole = jpeg(800, 600)
    truncated = await site.bound(body=whole[: len(whole) // 2])
    other = await site.bound(body=b"%PDF-1.7 and no picture at all")
    async with site.worker():
        assert why(await site.phase(truncated, "Failed", seconds=60))[:2] == ("False", "Undecodable")
        assert why(await site.phase(other, "Failed", seconds=60))[1] in ("UnsupportedFormat", "Undecodable")
    assert site.renditions(truncated) == {}


@pytest.mark.failure("F1")
async def test_a_picture_over_the_pixel_limit_fails_with_both_numbers(site: Site, real_decoder: None) -> None:
    asset_id = await site.bound(body=jpeg(800, 600))
    async with site.worker(MEDIA_MAX_PIXELS="100000"):
        truth, reason, message = why(await site.phase(asset_id, "Failed", seconds=60))
    assert (truth, reason) == ("False", "TooManyPixels")
    assert {"480000", "100000"} <= set(message.replace(",", "").split())
