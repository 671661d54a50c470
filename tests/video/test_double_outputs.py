"""What the MediaConvert double writes: the service's names, and films that ffprobe reads as they were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.clips import clip, ffmpeg, probed, streams
from support.double_site import DoubleSite, files, film, hls, output, settings, still

BASE = "processed/video/owner/asset/"


def size(path: Path) -> tuple[int, int]:
    stream, *_ = streams(path, "video")
    return stream["width"], stream["height"]


async def test_a_job_writes_playlists_segments_a_film_and_a_still_under_the_names_of_the_service(
    double: DoubleSite, tmp_path: Path
) -> None:
    source = await double.put(clip(tmp_path, width=1280, height=720, seconds=6.0))
    place = f"s3://{double.store.bucket}/{BASE}"
    job = await double.done(
        settings(
            source,
            hls(
                f"{place}hls/master",
                output("_360p", "M3U8", film(640, 360)),
                output("_720p", "M3U8", film(1280, 720)),
            ),
            files(f"{place}video", output("", "MP4", film(1280, 720))),
            files(f"{place}thumbnail", still(640, 360)),
        )
    )

    assert job["Status"] == "COMPLETE", job
    assert job["JobPercentComplete"] == 100
    assert sorted(await double.keys(BASE)) == [
        "hls/master.m3u8",
        "hls/master_360p.m3u8",
        "hls/master_360p_00001.ts",
        "hls/master_360p_00002.ts",
        "hls/master_720p.m3u8",
        "hls/master_720p_00001.ts",
        "hls/master_720p_00002.ts",
        "thumbnail.0000000.jpg",
        "video.mp4",
    ]
    made = await double.download(BASE, tmp_path / "made")
    for name, wanted in (("hls/master_360p.m3u8", (640, 360)), ("hls/master_720p.m3u8", (1280, 720))):
        assert size(made / name) == wanted
        assert streams(made / name, "video")[0]["codec_name"] == "h264"
        assert streams(made / name, "audio")[0]["codec_name"] == "aac"
        assert float(probed(made / name)["format"]["duration"]) == pytest.approx(6.0, abs=0.2)
    assert size(made / "video.mp4") == (1280, 720)
    assert size(made / "thumbnail.0000000.jpg") == (640, 360)


async def test_the_master_playlist_tells_size_bandwidth_and_codecs_of_each_variant(
    double: DoubleSite, tmp_path: Path
) -> None:
    source = await double.put(clip(tmp_path, width=640, height=360, seconds=2.0))
    place = f"s3://{double.store.bucket}/tells/hls/master"
    job = await double.done(settings(source, hls(place, output("_360p", "M3U8", film(640, 360)))))

    assert job["Status"] == "COMPLETE", job
    lines = (await double.text("tells/hls/master.m3u8")).splitlines()
    assert lines[0] == "#EXTM3U"
    assert "RESOLUTION=640x360" in lines[-2]
    assert 'CODECS="avc1.' in lines[-2]
    assert "mp4a.40.2" in lines[-2]
    assert int(lines[-2].partition("BANDWIDTH=")[2].partition(",")[0]) > 10_000
    assert lines[-1] == "master_360p.m3u8"
    assert "#EXT-X-ENDLIST" in await double.text("tells/hls/master_360p.m3u8")


async def test_every_variant_is_cut_at_the_same_places_with_a_key_frame_first(
    double: DoubleSite, tmp_path: Path
) -> None:
    source = await double.put(clip(tmp_path, seconds=9.0, uneven=True))
    place = f"s3://{double.store.bucket}/cut/hls/master"
    both = (output("_a", "M3U8", film(640, 360)), output("_b", "M3U8", film(320, 180)))
    assert (await double.done(settings(source, hls(place, *both))))["Status"] == "COMPLETE"

    one, other = [await double.text(f"cut/hls/master_{name}.m3u8") for name in "ab"]
    lengths = [[line for line in text.splitlines() if line.startswith("#EXTINF")] for text in (one, other)]
    assert lengths[0] == lengths[1]
    assert len(lengths[0]) == 3
    made = await double.download("cut/", tmp_path / "made")
    for path in sorted(made.glob("hls/*.ts")):
        assert streams(path, "video")[0]["codec_name"] == "h264", path
        assert streams(path, "audio"), path


async def test_a_rotated_film_is_shown_upright_only_where_the_job_asks_for_it(
    double: DoubleSite, tmp_path: Path
) -> None:
    source = await double.put(clip(tmp_path, width=640, height=360, seconds=1.0, rotation=90))
    upright = settings(source, files(f"s3://{double.store.bucket}/upright", output("", "MP4", film(height=640))))
    lying = settings(source, files(f"s3://{double.store.bucket}/lying", output("", "MP4", film(height=360))))
    lying["Inputs"][0]["VideoSelector"] = {}

    for asked in (upright, lying):
        assert (await double.done(asked))["Status"] == "COMPLETE"
    folder = await double.download("", tmp_path / "made")
    assert size(folder / "upright.mp4") == (360, 640)
    assert size(folder / "lying.mp4") == (640, 360)


async def test_a_rotated_film_in_a_container_whose_rotation_the_service_does_not_read_is_turned_by_what_the_job_says(
    double: DoubleSite, tmp_path: Path
) -> None:
    lying = clip(tmp_path, width=640, height=360, seconds=1.0, rotation=90)
    ffmpeg("-i", str(lying), "-c", "copy", str(tmp_path / "lying.mkv"))
    source = await double.put(tmp_path / "lying.mkv")
    by_itself = settings(source, files(f"s3://{double.store.bucket}/auto", output("", "MP4", film(width=640))))
    by_order = settings(source, files(f"s3://{double.store.bucket}/order", output("", "MP4", film(width=360))))
    by_order["Inputs"][0]["VideoSelector"] = {"Rotate": "DEGREES_90"}

    for asked in (by_itself, by_order):
        assert (await double.done(asked))["Status"] == "COMPLETE"
    folder = await double.download("", tmp_path / "made")
    assert size(folder / "auto.mp4") == (640, 360)
    assert size(folder / "order.mp4") == (360, 640)


@pytest.mark.parametrize(
    ("scaling", "wanted"),
    [
        ("DEFAULT", (400, 400)),
        ("STRETCH_TO_OUTPUT", (400, 400)),
        ("FIT", (400, 224)),
        ("FIT_NO_UPSCALE", (320, 180)),
        ("FILL", (400, 400)),
    ],
)
async def test_a_film_of_another_aspect_comes_into_the_frame_as_asked(
    double: DoubleSite, tmp_path: Path, scaling: str, wanted: tuple[int, int]
) -> None:
    source = await double.put(clip(tmp_path, width=320, height=180, seconds=1.0))
    video = film(400, 400, ScalingBehavior=scaling)
    place = f"s3://{double.store.bucket}/{scaling}/video"
    assert (await double.done(settings(source, files(place, output("", "MP4", video)))))["Status"] == "COMPLETE"
    folder = await double.download(f"{scaling}/", tmp_path / "made")
    assert size(folder / "video.mp4") == wanted


async def test_a_film_without_sound_becomes_one_without_sound_and_a_warning(
    double: DoubleSite, tmp_path: Path
) -> None:
    source = await double.put(clip(tmp_path, width=320, height=180, seconds=1.0, audio=False))
    place = f"s3://{double.store.bucket}/mute/video"
    job = await double.done(settings(source, files(place, output("", "MP4", film(320, 180)))))

    assert job["Status"] == "COMPLETE", job
    assert job["Messages"]["Warning"]
    folder = await double.download("mute/", tmp_path / "made")
    assert streams(folder / "video.mp4", "audio") == []


async def test_frames_are_captured_at_the_rate_asked_for_and_numbered_from_zero(
    double: DoubleSite, tmp_path: Path
) -> None:
    source = await double.put(clip(tmp_path, width=320, height=180, seconds=5.0))
    place = f"s3://{double.store.bucket}/stills/"
    job = await double.done(
        settings(
            source,
            files(f"{place}video", output("", "MP4", film(320, 180))),
            files(f"{place}frame", still(160, 90, FramerateDenominator=2, MaxCaptures=10)),
        )
    )
    assert job["Status"] == "COMPLETE", job
    assert [key for key in await double.keys("stills/") if "frame" in key] == [
        "frame.0000000.jpg",
        "frame.0000001.jpg",
        "frame.0000002.jpg",
    ]


async def test_a_destination_that_is_a_folder_takes_the_name_of_the_input(double: DoubleSite, tmp_path: Path) -> None:
    source = await double.put(clip(tmp_path, width=320, height=180, seconds=1.0), "uploads/holiday.mp4")
    place = f"s3://{double.store.bucket}/folder/"
    job = await double.done(settings(source, files(place, output("_small", "MP4", film(320, 180)))))
    assert job["Status"] == "COMPLETE", job
    assert await double.keys("folder/") == ["holiday_small.mp4"]


async def test_a_finished_job_tells_sizes_and_lengths_but_no_paths(double: DoubleSite, tmp_path: Path) -> None:
    source = await double.put(clip(tmp_path, width=320, height=180, seconds=2.0))
    place = f"s3://{double.store.bucket}/told/hls/master"
    job = await double.done(settings(source, hls(place, output("_180p", "M3U8", film(320, 180)))))
    ((details,),) = (group["OutputDetails"] for group in job["OutputGroupDetails"])
    assert details["VideoDetails"] == {"WidthInPx": 320, "HeightInPx": 180}
    assert details["DurationInMs"] == pytest.approx(2000, abs=200)
    assert set(details) == {"DurationInMs", "VideoDetails"}


async def test_content_types_are_those_that_players_expect(double: DoubleSite, tmp_path: Path) -> None:
    source = await double.put(clip(tmp_path, width=320, height=180, seconds=1.0))
    place = f"s3://{double.store.bucket}/types/"
    await double.done(
        settings(
            source,
            hls(f"{place}master", output("_a", "M3U8", film(320, 180))),
            files(f"{place}video", output("", "MP4", film(320, 180))),
        )
    )
    found = {
        name: double.s3.head_object(Bucket=double.store.bucket, Key=f"types/{name}")["ContentType"]
        for name in ("master.m3u8", "master_a_00001.ts", "video.mp4")
    }
    assert found == {
        "master.m3u8": "application/vnd.apple.mpegurl",
        "master_a_00001.ts": "video/mp2t",
        "video.mp4": "video/mp4",
    }


async def test_a_missing_input_ends_the_job_with_its_url_in_the_message(double: DoubleSite) -> None:
    source = f"s3://{double.store.bucket}/uploads/nothing.mp4"
    place = f"s3://{double.store.bucket}/never/video"
    job = await double.done(settings(source, files(place, output("", "MP4", film(320, 180)))))
    assert (job["Status"], job["ErrorCode"]) == ("ERROR", 1010)
    assert source in job["ErrorMessage"]
    assert await double.keys("never/") == []


@pytest.mark.parametrize("name", ["playlist.mp4", "concat.mp4", "noise.mp4"])
async def test_what_is_no_film_ends_the_job_and_nothing_it_names_is_read(
    double: DoubleSite, tmp_path: Path, name: str
) -> None:
    secret = clip(tmp_path, "secret.mp4", width=320, height=180, seconds=1.0)
    contents = {
        "playlist.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "concat.mp4": f"ffconcat version 1.0\nfile '{secret}'\n",
        "noise.mp4": "nothing but noise\n" * 100,
    }
    hostile = tmp_path / name
    hostile.write_text(contents[name])
    place = f"s3://{double.store.bucket}/hostile/video"
    job = await double.done(settings(await double.put(hostile), files(place, output("", "MP4", film(320, 180)))))
    assert (job["Status"], job["ErrorCode"]) == ("ERROR", 1010)
    assert await double.keys("hostile/") == []


async def test_a_file_with_sound_only_ends_the_job(double: DoubleSite, tmp_path: Path) -> None:
    source = await double.put(clip(tmp_path, "sound.mp4", video=False, seconds=1.0))
    place = f"s3://{double.store.bucket}/sound/video"
    job = await double.done(settings(source, files(place, output("", "MP4", film(320, 180)))))
    assert (job["Status"], job["ErrorCode"]) == ("ERROR", 1030)
