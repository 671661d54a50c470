from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media_core.ladder import (
    CAPTURED,
    GOP_SECONDS,
    LARGEST_SOURCE,
    LONGEST_SECONDS,
    LONGEST_SIDE,
    MASTER,
    SEGMENT_SECONDS,
    SLIMMEST,
    SMALLEST_SOURCE,
    THUMBNAIL,
    THUMBNAIL_SECOND,
    THUMBNAIL_SIDE,
    VIDEO,
    Film,
    ladder,
    playlist_path,
    progressive,
    refusal,
    segment_path,
    thumbnail_size,
)
from media_core.reasons import Reason

SIDES = st.integers(SMALLEST_SOURCE, LARGEST_SOURCE)
FILMS = st.builds(
    Film,
    width=SIDES,
    height=SIDES,
    rotation=st.sampled_from((0, 90, 180, 270)),
    duration_seconds=st.floats(0, 9000),
    has_audio=st.booleans(),
).filter(lambda film: max(film.shown) <= SLIMMEST * min(film.shown))


def rungs_of(film: Film) -> list[tuple[str, int, int]]:
    """The ladder as far as a viewer sees it."""
    return [(rung.name, rung.width, rung.height) for rung in ladder(film)]


@pytest.mark.parametrize(
    ("film", "rungs"),
    [
        pytest.param(Film(1280, 720), [("720p", 1280, 720)], id="720p has its own rung only"),
        pytest.param(Film(1920, 1080), [("720p", 1280, 720), ("1080p", 1920, 1080)], id="1080p has two rungs"),
        pytest.param(
            Film(3840, 2160), [("720p", 1280, 720), ("1080p", 1920, 1080), ("4k", 3840, 2160)], id="4K has all three"
        ),
        pytest.param(Film(1600, 900), [("720p", 1280, 720)], id="a size between is made at the step below it"),
        pytest.param(Film(854, 480), [("480p", 854, 480)], id="a film below all steps keeps its own size"),
        pytest.param(Film(641, 361), [("360p", 640, 360)], id="odd sides are made even, and not larger"),
        pytest.param(Film(1281, 719), [("718p", 1280, 718)], id="a line less than a step does not reach it"),
        pytest.param(Film(1280, 718, 90), [("718p", 718, 1280)], id="a small film held upright is named by its width"),
        pytest.param(
            Film(1080, 1920),
            [("720p", 720, 1280), ("1080p", 1080, 1920)],
            id="a film held upright counts by its width",
        ),
        pytest.param(
            Film(1920, 1080, 90), [("720p", 720, 1280), ("1080p", 1080, 1920)], id="a turned film is made as shown"
        ),
        pytest.param(
            Film(1920, 1080, 180), [("720p", 1280, 720), ("1080p", 1920, 1080)], id="upside down it has the same size"
        ),
        pytest.param(
            Film(1920, 1080, 270),
            [("720p", 720, 1280), ("1080p", 1080, 1920)],
            id="the other way round it is the same",
        ),
        pytest.param(Film(1440, 1080), [("720p", 960, 720), ("1080p", 1440, 1080)], id="4:3 stays 4:3"),
        pytest.param(Film(720, 720), [("720p", 720, 720)], id="a square stays a square"),
        pytest.param(
            Film(5040, 2160),
            [("720p", 1680, 720), ("1080p", 2520, 1080), ("4k", 4096, 1756)],
            id="a wide 4K film ends at the longest side",
        ),
        pytest.param(Film(8192, 1200), [("720p", 4096, 600)], id="steps that would repeat a size are left out"),
    ],
)
def test_a_film_is_made_in_the_steps_it_reaches(film: Film, rungs: list[tuple[str, int, int]]) -> None:
    assert rungs_of(film) == rungs


@given(FILMS)
@example(Film(721, 1281))
@example(Film(8192, 410))
def test_no_rung_is_above_the_source_and_each_keeps_its_aspect(film: Film) -> None:
    width, height = film.shown
    for across, down in [*((rung.width, rung.height) for rung in ladder(film)), thumbnail_size(film)]:
        assert 0 < across <= width
        assert 0 < down <= height
        assert across % 2 == down % 2 == 0
        # The longer side follows from the shorter one, or the shorter from the longer, to the nearest even number.
        assert abs(across - width * down / height) <= 1 or abs(down - height * across / width) <= 1
        assert max(across, down) <= LONGEST_SIDE


@given(FILMS)
def test_what_is_made_is_as_large_as_an_encoder_wants_it(film: Film) -> None:
    sizes = [*((rung.width, rung.height) for rung in ladder(film)), thumbnail_size(film)]
    assert min(side for size in sizes for side in size) >= 32


@given(FILMS)
def test_a_film_held_upright_has_the_rungs_of_the_same_film_lying(film: Film) -> None:
    turned = Film(film.height, film.width, film.rotation, film.duration_seconds, film.has_audio)
    assert [(name, down, across) for name, across, down in rungs_of(turned)] == rungs_of(film)
    assert thumbnail_size(turned) == thumbnail_size(film)[::-1]


@given(FILMS)
def test_the_rotation_counts_as_if_the_film_had_been_coded_that_way(film: Film) -> None:
    upright = Film(*film.shown, 0, film.duration_seconds, film.has_audio)
    assert ladder(upright) == ladder(film)
    assert progressive(upright) == progressive(film)


@given(FILMS)
def test_rungs_ascend_and_have_names_of_their_own(film: Film) -> None:
    rungs = ladder(film)
    assert list(rungs) == sorted(rungs, key=lambda rung: (rung.width * rung.height, rung.max_bitrate))
    assert len({rung.name for rung in rungs}) == len({(rung.width, rung.height) for rung in rungs}) == len(rungs)
    assert [rung.max_bitrate for rung in rungs] == sorted({rung.max_bitrate for rung in rungs})


@given(FILMS)
def test_sound_is_given_a_bitrate_only_where_there_is_sound(film: Film) -> None:
    assert all((rung.audio_bitrate > 0) == film.has_audio for rung in ladder(film))


@given(FILMS)
def test_the_progressive_film_is_the_largest_rung_of_at_most_1080p(film: Film) -> None:
    fitting = [rung for rung in ladder(film) if min(rung.width, rung.height) <= 1080]
    assert progressive(film) == fitting[-1]


def test_a_4k_film_is_progressive_in_1080p() -> None:
    assert progressive(Film(3840, 2160)).name == "1080p"


def test_a_small_film_needs_fewer_bits() -> None:
    (small,), (tiny,), (large,) = ladder(Film(854, 480)), ladder(Film(64, 64)), ladder(Film(1280, 720))
    assert tiny.max_bitrate == 400_000 < small.max_bitrate < large.max_bitrate


@pytest.mark.parametrize(
    ("film", "size"),
    [
        pytest.param(Film(1920, 1080), (640, 360), id="it fits in the square"),
        pytest.param(Film(1920, 1080, 90), (360, 640), id="it is upright where the film is"),
        pytest.param(Film(320, 240), (320, 240), id="it is never larger than the film"),
        pytest.param(Film(2000, 100), (640, 32), id="the slimmest film has one still"),
    ],
)
def test_a_thumbnail_is_the_whole_picture(film: Film, size: tuple[int, int]) -> None:
    assert thumbnail_size(film) == size
    assert max(size) <= THUMBNAIL_SIDE


@pytest.mark.parametrize(
    ("seconds", "second"),
    [
        pytest.param(0.0, 0, id="of unknown length"),
        pytest.param(2.0, 0, id="shorter than that"),
        pytest.param(THUMBNAIL_SECOND + 0.5, 0, id="hardly longer"),
        pytest.param(20.0, THUMBNAIL_SECOND, id="long enough"),
    ],
)
def test_a_thumbnail_is_of_a_second_that_the_film_has(seconds: float, second: int) -> None:
    assert Film(1280, 720, duration_seconds=seconds).thumbnail_second == second


@pytest.mark.parametrize(
    ("film", "reason"),
    [
        pytest.param(Film(1920, 1080, duration_seconds=60), None, id="an ordinary film"),
        pytest.param(Film(1920, 1080), None, id="a film that does not tell its length"),
        pytest.param(Film(1920, 1080, duration_seconds=LONGEST_SECONDS), None, id="as long as may be"),
        pytest.param(Film(1920, 1080, duration_seconds=LONGEST_SECONDS + 1), Reason.TOO_LONG, id="longer than that"),
        pytest.param(Film(0, 1080), Reason.UNDECODABLE, id="no size"),
        pytest.param(Film(-2, -2), Reason.UNDECODABLE, id="a size there cannot be"),
        pytest.param(Film(640, 31), Reason.UNSUPPORTED_FORMAT, id="too few lines to encode"),
        pytest.param(Film(32, 32), None, id="the smallest film"),
        pytest.param(Film(8192, 4320), None, id="the largest film"),
        pytest.param(Film(8194, 4320), Reason.TOO_MANY_PIXELS, id="larger than that"),
        pytest.param(Film(4320, 8194), Reason.TOO_MANY_PIXELS, id="larger than that, upright"),
        pytest.param(Film(2001, 100), Reason.UNSUPPORTED_FORMAT, id="a line more than a picture"),
    ],
)
def test_a_film_beyond_the_limits_is_refused_with_a_sentence(film: Film, reason: Reason | None) -> None:
    refused = refusal(film)
    assert (refused[0] if refused else None) == reason
    assert refused is None or refused[1].endswith(".")


def test_the_limit_of_length_is_said_with_the_length() -> None:
    refused = refusal(Film(1280, 720, duration_seconds=61.4), longest_seconds=60)
    assert refused == (Reason.TOO_LONG, "The video is 61 s long; the limit is 60 s.")


def test_files_have_the_names_mediaconvert_gives() -> None:
    assert (MASTER, VIDEO, THUMBNAIL) == ("hls/master.m3u8", "video.mp4", "thumbnail.jpg")
    assert CAPTURED == "thumbnail.0000000.jpg"
    assert playlist_path("720p") == "hls/master_720p.m3u8"
    assert segment_path("4k", 1) == "hls/master_4k_00001.ts"


def test_every_segment_begins_with_a_key_frame() -> None:
    assert SEGMENT_SECONDS % GOP_SECONDS == 0
