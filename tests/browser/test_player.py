"""The player page in Chromium, over the real API, PostgreSQL and S3."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from fast_thumbhash import rgba_to_thumb_hash, thumb_hash_to_rgba
from PIL import Image
from playwright.async_api import Browser, expect

from media_core.asset import AssetType
from media_core.keys import rendition_key
from support.api_site import ALICE, ApiSite, token
from support.browsing import PHONE, Visit, visit
from support.clips import clip
from support.films import Cinema
from support.images import encoded, gradient, quadrants

pytestmark = pytest.mark.timeout(240)
JUMP = 0.5
UPLOAD_SPEED = 8_000_000
"""Bytes a second: the upload takes a few seconds, so that its progress is seen."""


async def uploaded(api: ApiSite, path: Path, asset_type: str = "VIDEO", content_type: str = "video/mp4") -> str:
    """An upload that was confirmed; its asset id."""
    asked = await api.upload(
        await asyncio.to_thread(path.read_bytes),
        asset_type=asset_type,
        content_type=content_type,
        original_filename=path.name,
    )
    return str(asked.json["asset_id"])


async def test_a_film_is_uploaded_plays_at_once_and_goes_on_as_a_stream_without_a_jump(
    visitor: Visit, api: ApiSite, cinema: Cinema, original: Path
) -> None:
    page = visitor.page
    await visitor.enter(query="?poll=0.3")
    assert "token" not in page.url
    await visitor.shot("01-signed-in")
    assert await visitor.barriers() == []

    await visitor.throttle(UPLOAD_SPEED)
    await page.locator("#files").set_input_files(original)
    bar = "document.querySelector('#transfers progress')?.value"
    await page.wait_for_function(f"() => {bar} > 5 && {bar} < 95")
    await visitor.shot("02-uploading")
    assert await visitor.barriers() == []

    await page.wait_for_url("**/?*asset=*")
    asset_id = page.url.partition("asset=")[2].partition("&")[0]
    await visitor.until("video?.readyState >= 3")
    await expect(page.locator("#viewer .chip")).to_have_text("Waiting")
    await page.locator("#viewer video").focus()
    await page.keyboard.press("Space")
    await visitor.until("video.currentTime > 0.5")
    assert (await visitor.film())["stream"] is False
    await visitor.shot("03-original-playing")

    await cinema.processing(asset_id, 40)
    await expect(page.locator("#viewer .chip")).to_have_text("Processing 40 %")
    await expect(page.locator("#viewer progress")).to_have_js_property("value", 40)
    await expect(page.locator("#said")).to_have_text("Being processed, 25 percent.")
    await visitor.shot("04-processing")
    assert await visitor.barriers() == []

    await visitor.sample()
    await page.locator("#rate").select_option("1")
    await page.locator("#viewer video").focus()
    await cinema.settled(asset_id)
    await visitor.until("video.src.startsWith('blob:') && !video.paused && video.currentTime > 1")
    assert await visitor.jump() <= JUMP
    assert await page.evaluate("document.activeElement.tagName") == "VIDEO", "the focus goes along"
    await expect(page.locator("#viewer .chip")).to_have_text("Ready")
    await expect(page.locator("#said")).to_have_text("Now playing the adaptive stream.")
    await visitor.shot("05-stream-playing")
    assert await visitor.barriers() == []

    for height in (720, 1080):
        await page.get_by_label("Quality").select_option(label=f"{height}p")
        await visitor.until(f"video.videoHeight === {height}")
        await expect(page.locator(".playing")).to_have_text(f"Playing: adaptive stream, {height}p")
    await visitor.shot("06-quality-chosen")

    await page.get_by_label("Speed").select_option("2")
    await visitor.until("video.ended", seconds=30)
    assert (await visitor.film())["rate"] == 2

    await page.reload()
    await visitor.until("video?.src.startsWith('blob:') && video.readyState >= 3")
    assert f"asset={asset_id}" in page.url
    await expect(page.get_by_role("heading", name="Upload", exact=True)).to_be_visible()
    await page.locator("#viewer video").focus()
    await page.keyboard.press("Space")
    await visitor.until("!video.paused && video.currentTime > 0.5")
    await page.get_by_label("Quality").select_option(label="720p")
    await visitor.until("video.videoHeight === 720")
    await visitor.shot("07-after-reload")
    await page.get_by_label("Speed").select_option("2")
    await visitor.until("video.ended", seconds=30)


async def test_a_film_that_is_paused_changes_to_the_stream_where_it_is_and_stays_paused(
    visitor: Visit, api: ApiSite, cinema: Cinema, original: Path
) -> None:
    asset_id = await uploaded(api, original)
    await visitor.page.goto(f"{api.url}/player/{asset_id}?poll=0.3")
    await visitor.until("video?.readyState >= 3")
    await visitor.page.evaluate("document.querySelector('#viewer video').currentTime = 7.3")
    await visitor.sample()
    await cinema.settled(asset_id)
    await visitor.until("video.src.startsWith('blob:')")
    shown = await visitor.film()
    assert shown["paused"]
    assert abs(shown["at"] - 7.3) <= JUMP
    assert await visitor.jump() <= JUMP
    await visitor.page.reload()
    await visitor.until("video?.src.startsWith('blob:') && video.readyState >= 3")
    assert abs((await visitor.film())["at"] - 7.3) <= JUMP, "a reload goes on where it was"


async def test_a_film_the_browser_cannot_play_says_so_and_plays_once_it_is_processed(
    visitor: Visit, api: ApiSite, cinema: Cinema, tmp_path: Path
) -> None:
    foreign = clip(tmp_path, "old.mp4", seconds=2, options=("-c:v", "mpeg4", "-an", "-f", "mp4"))
    asset_id = await uploaded(api, foreign)
    await visitor.page.goto(f"{api.url}/player/{asset_id}?poll=0.3")
    await expect(visitor.page.locator(".notice")).to_contain_text("cannot play the file as it was uploaded")
    await visitor.shot("08-cannot-be-played-yet")
    assert await visitor.barriers() == []
    await cinema.settled(asset_id)
    await visitor.until("video?.src.startsWith('blob:') && video.readyState >= 3")
    await expect(visitor.page.locator(".notice")).to_be_hidden()


async def test_a_film_whose_stream_is_broken_is_played_as_one_file(
    visitor: Visit, api: ApiSite, cinema: Cinema, original: Path
) -> None:
    visitor.forgiven = ("Failed to load resource",)
    asset_id = await uploaded(api, original)
    await cinema.settled(asset_id, but=".ts")
    await visitor.page.goto(f"{api.url}/player/{asset_id}?poll=0.3")
    await visitor.until("video?.src.includes('/video.mp4') && video.readyState >= 3", seconds=60)
    await expect(visitor.page.locator(".playing")).to_have_text("Playing: MP4")


async def test_a_failure_is_told_in_the_words_of_the_service(
    visitor: Visit, api: ApiSite, database: asyncpg.Connection, original: Path
) -> None:
    asset_id = await uploaded(api, original)
    await database.execute(
        "UPDATE media.assets SET state = 'settled', transcode_status = 'FAILED', reason = 'TooLong', "
        "message = 'The film lasts 5 hours, and 4 are the limit.', settled_at = now() WHERE id = $1",
        asset_id,
    )
    await visitor.enter(query=f"?asset={asset_id}")
    await expect(visitor.page.locator("#viewer .message")).to_have_text("The film lasts 5 hours, and 4 are the limit.")
    await expect(visitor.page.get_by_role("button", name="Try again")).to_be_visible()
    await visitor.shot("09-failed")
    assert await visitor.barriers() == []


async def test_several_files_are_uploaded_and_a_picture_is_shown_before_it_is_processed(
    visitor: Visit, api: ApiSite, original: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "photo.jpg"
    picture.write_bytes(encoded(quadrants(), "JPEG"))
    notes = tmp_path / "notes.txt"
    notes.write_text("no picture")
    old = tmp_path / "old.avi"
    old.write_bytes(b"RIFF\0\0\0\0AVI ")
    visitor.forgiven = ("422", "404")
    page = visitor.page
    await visitor.enter(query="?poll=0.3")
    await page.locator("#files").set_input_files([picture, original, notes, old])
    await expect(page.locator("#gallery .tile")).to_have_count(2)
    refused = page.locator("#transfers")
    await expect(refused).to_contain_text("notes.txt is no image, video, PDF or SCORM package.")
    await expect(refused).to_contain_text("video/x-msvideo cannot be uploaded as VIDEO; accepted are video/mp4")
    await visitor.shot("10-gallery")
    assert await visitor.barriers() == []

    card = page.get_by_role("link", name="photo.jpg")
    await card.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_function("() => document.querySelector('#viewer img')?.naturalWidth > 0")
    assert await page.evaluate("document.activeElement.textContent") == "photo.jpg", "the focus is on what was opened"
    await visitor.shot("11-picture")
    assert await visitor.barriers() == []

    await page.get_by_role("button", name="Delete").press("Enter")
    await visitor.shot("12-sure")
    assert await visitor.barriers() == []
    await page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    await expect(page.locator("#gallery .tile")).to_have_count(1)
    await page.go_back()
    await expect(page.locator("#viewer .problem")).to_have_text("There is no such asset, or it was deleted.")


async def test_a_token_is_pasted_and_a_wrong_one_is_refused_with_a_sentence(visitor: Visit, api: ApiSite) -> None:
    visitor.forgiven = ("401",)
    page = visitor.page
    await page.goto(api.url)
    await visitor.shot("13-sign-in")
    assert await visitor.barriers() == []
    await page.get_by_label("Token").fill(token(exp=1))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#signin-problem")).to_have_text("The token has expired.")
    await visitor.shot("14-token-refused")
    assert await visitor.barriers() == []
    await page.get_by_label("Token").fill(token("grace"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#who")).to_have_text("grace")
    await page.reload()
    await expect(page.locator("#who")).to_have_text("grace")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_visible()
    assert await page.evaluate("sessionStorage.getItem('media-token')") is None


async def test_a_film_in_full_screen_changes_to_the_stream_when_it_leaves_it(
    visitor: Visit, api: ApiSite, cinema: Cinema, original: Path
) -> None:
    asset_id = await uploaded(api, original)
    await visitor.page.goto(f"{api.url}/player/{asset_id}?poll=0.3")
    await visitor.until("video?.readyState >= 3")
    await visitor.page.locator("#viewer video").focus()
    await visitor.page.keyboard.press("Space")
    await visitor.page.evaluate("document.querySelector('#viewer video').requestFullscreen()")
    await visitor.until("document.fullscreenElement === video")
    await cinema.settled(asset_id)
    await visitor.page.wait_for_function("() => document.querySelector('video.coming')?.buffered.length > 0")
    assert not (await visitor.film())["stream"]
    assert await visitor.page.evaluate("document.fullscreenElement !== null")
    await visitor.sample()
    await visitor.page.evaluate("document.exitFullscreen()")
    await visitor.until("video.src.startsWith('blob:') && !video.paused")
    assert await visitor.jump() <= JUMP


async def test_an_upload_that_is_cancelled_leaves_nothing_behind(visitor: Visit, original: Path) -> None:
    page = visitor.page
    await visitor.enter(query="?poll=0.3")
    await visitor.throttle(UPLOAD_SPEED // 10)
    await page.locator("#files").set_input_files(original)
    await page.get_by_role("button", name="Cancel the upload of holiday.mp4").click()
    await expect(page.locator("#transfers li")).to_have_count(0)
    await expect(page.locator("#gallery-empty")).to_be_visible()


async def test_a_picture_that_is_dropped_is_shown_blurred_and_then_in_the_size_that_fits(
    visitor: Visit, api: ApiSite, database: asyncpg.Connection, s3: Any
) -> None:
    page = visitor.page
    picture = gradient(1600, 1200)
    await visitor.enter(query="?poll=0.3")
    dropped = await page.evaluate_handle(
        """(encoded) => {
          const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
          const carried = new DataTransfer();
          carried.items.add(new File([bytes], "sunset.jpg", { type: "image/jpeg" }));
          return carried;
        }""",
        base64.b64encode(encoded(picture, "JPEG")).decode(),
    )
    for event in ("dragenter", "dragover", "drop"):
        await page.dispatch_event("#drop", event, {"dataTransfer": dropped})
    await page.wait_for_url("**/?*asset=*")
    asset_id = page.url.partition("asset=")[2].partition("&")[0]
    await expect(page.get_by_role("heading", name="sunset.jpg")).to_be_visible()

    blurred = rgba_to_thumb_hash(100, 75, picture.convert("RGBA").resize((100, 75)).tobytes())
    placeholder = base64.b64encode(bytes(blurred)).decode()
    await _rendered(database, s3, api.store.bucket, asset_id, picture, placeholder)
    await expect(page.locator("#viewer .chip")).to_have_text("Ready")
    await page.wait_for_function("() => document.querySelector('#viewer img')?.currentSrc.includes('/large.webp')")
    await page.wait_for_function("() => document.querySelector('#gallery img.there')?.naturalWidth > 0")
    assert await page.locator("#gallery canvas").count() == 1
    await visitor.shot("17-picture-ready")
    assert await visitor.barriers() == []


async def test_a_placeholder_has_the_pixels_it_stands_for(visitor: Visit, api: ApiSite) -> None:
    await visitor.page.goto(api.url)
    lying, standing = gradient(96, 60).convert("RGBA"), quadrants(60, 96).convert("RGBA")
    seen_through = quadrants(80, 80).convert("RGBA")
    seen_through.putalpha(gradient(80, 80).convert("L"))
    for picture in (lying, standing, seen_through):
        blurred = bytes(rgba_to_thumb_hash(*picture.size, picture.tobytes()))
        width, height, expected = thumb_hash_to_rgba(blurred)
        found = await visitor.page.evaluate(
            """async (placeholder) => {
              const { decoded } = await import("/player/static/thumbhash.js");
              const { width, height, rgba } = decoded(Uint8Array.from(atob(placeholder), (l) => l.charCodeAt(0)));
              return { width, height, rgba: [...rgba] };
            }""",
            base64.b64encode(blurred).decode(),
        )
        assert (found["width"], found["height"]) == (width, height)
        assert max(abs(one - other) for one, other in zip(found["rgba"], expected, strict=True)) <= 2


async def _rendered(
    database: asyncpg.Connection, s3: Any, bucket: str, asset_id: str, picture: Image.Image, placeholder: str
) -> None:
    """The renditions of a picture, and the row that is settled."""
    variants = []
    for name, side in (("thumbnail", 150), ("medium", 600), ("large", 1200)):
        smaller = picture.copy()
        smaller.thumbnail((side, side))
        key, content = rendition_key(AssetType.IMAGE, ALICE, asset_id, name), encoded(smaller, "WEBP")
        await asyncio.to_thread(s3.put_object, Bucket=bucket, Key=key, Body=content)
        variants.append({"name": name, "width": smaller.width, "height": smaller.height, "bytes": len(content)})
    width, height = picture.size
    result = {"width": width, "height": height, "placeholder": placeholder, "variants": variants}
    await database.execute(
        "UPDATE media.assets SET state = 'settled', transcode_status = 'COMPLETED', status = $2, settled_at = now() "
        "WHERE id = $1",
        asset_id,
        json.dumps({"phase": "Completed", "result": {**result, "dominantColor": "#806040"}}),
    )


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_the_page_fits_a_phone_in_both_colour_schemes(
    chromium: Browser,
    visitor: Visit,
    api: ApiSite,
    cinema: Cinema,
    original: Path,
    colours: str,
) -> None:
    asset_id = await uploaded(api, original)
    await cinema.settled(asset_id)
    how: dict[str, Any] = {"viewport": PHONE, "color_scheme": colours, "is_mobile": True, "has_touch": True}
    async with visit(chromium, api, visitor.shots, visitor.axe, **how) as phone:
        await phone.enter(query=f"?asset={asset_id}")
        await phone.until("video?.readyState >= 3")
        assert await phone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await phone.shot(f"15-phone-{colours}")
        assert await phone.barriers() == []
        assert phone.complaints == []


async def test_the_page_in_the_dark(visitor: Visit, api: ApiSite, original: Path) -> None:
    await uploaded(api, original)
    await visitor.page.emulate_media(color_scheme="dark")
    await visitor.enter()
    await expect(visitor.page.locator("#gallery .tile")).to_have_count(1)
    await visitor.shot("16-dark")
    assert await visitor.barriers() == []
