"""Which photographs the benchmark makes of which pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from perf.corpus import ENLARGED, Corpus, NoPhotographs, cuts, make, own, sources

SIZES = {Path("small.jpg"): (1600, 1200), Path("wide.jpg"): (2560, 1600), Path("large.jpg"): (5640, 3172)}


def test_the_same_seed_cuts_the_same_photographs_and_more_of_them_begin_alike() -> None:
    assert list(cuts(Corpus(40), SIZES))[:20] == list(cuts(Corpus(20), SIZES))
    assert list(cuts(Corpus(20, seed=2), SIZES)) != list(cuts(Corpus(20), SIZES))


def test_photographs_have_between_three_and_twelve_megapixels() -> None:
    pixels = [cut.size[0] * cut.size[1] / 1e6 for cut in cuts(Corpus(200), SIZES)]
    assert min(pixels) >= 3
    assert max(pixels) <= 12.01


def test_a_part_lies_within_its_source_and_is_not_stretched_beyond_what_shows() -> None:
    for cut in cuts(Corpus(200), SIZES):
        left, top, right, bottom = cut.box
        width, height = SIZES[cut.source]
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert cut.size[0] / (right - left) <= ENLARGED * 1.01


def test_a_part_keeps_its_shape() -> None:
    for cut in cuts(Corpus(100), SIZES):
        left, top, right, bottom = cut.box
        assert (right - left) / (bottom - top) == pytest.approx(cut.size[0] / cut.size[1], rel=0.01)


def test_every_source_is_used() -> None:
    assert {cut.source for cut in cuts(Corpus(100), SIZES)} == SIZES.keys()


def test_a_photograph_that_is_made_is_a_jpeg_of_the_size_that_was_planned(tmp_path: Path) -> None:
    source = tmp_path / "source.png"
    Image.effect_noise((200, 150), 60).save(source)
    (cut,) = cuts(Corpus(1, megapixels=(0.01,)), {source: (200, 150)})
    make(cut, tmp_path / "made.jpg", 90)
    with Image.open(tmp_path / "made.jpg") as made:
        assert (made.format, made.size) == ("JPEG", cut.size)


def test_without_the_packages_the_message_names_them(tmp_path: Path) -> None:
    with pytest.raises(NoPhotographs, match=r"apt-get install .*mate-backgrounds gnome-backgrounds"):
        sources(tmp_path)


def test_an_own_folder_gives_its_jpegs_in_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.JPEG", "c.txt", "d.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in own(tmp_path, 2)] == ["a.JPEG", "b.jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoPhotographs, match="no JPEG files"):
        own(tmp_path / "empty", 2)
