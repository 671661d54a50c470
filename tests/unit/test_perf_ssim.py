"""The likeness of two pictures, against values of another program (scikit-image 0.25, Gaussian weights)."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from perf.ssim import KERNEL, Plane, luma, similarity

_Y, _X = np.mgrid[0:48, 0:64]
PICTURE: Plane = np.round(127.5 + 127.5 * np.sin(_X / 5) * np.cos(_Y / 7))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(PICTURE, 1.0, id="a picture is like itself"),
        pytest.param(np.clip(PICTURE + ((_X * 7 + _Y * 13) % 17 - 8), 0, 255), 0.9715006825670262, id="with noise"),
        pytest.param(np.round(PICTURE / 16) * 16, 0.9786472750467329, id="in few steps of brightness"),
        pytest.param(255 - PICTURE, -0.6102468548064427, id="as its own negative"),
    ],
)
def test_the_likeness_is_what_another_program_finds(other: Plane, expected: float) -> None:
    assert similarity(PICTURE, other) == pytest.approx(expected, abs=1e-9)


def test_the_likeness_does_not_depend_on_which_comes_first() -> None:
    other = np.round(PICTURE / 32) * 32
    assert similarity(PICTURE, other) == pytest.approx(similarity(other, PICTURE))


@pytest.mark.parametrize("shape", [(48, 63), (10, 64)])
def test_pictures_that_do_not_fit_are_refused(shape: tuple[int, int]) -> None:
    one = np.zeros((10, 64)) if shape[0] == 10 else PICTURE
    with pytest.raises(ValueError, match="cannot be compared"):
        similarity(one, np.zeros(shape))


def test_the_window_has_eleven_weights_that_make_one() -> None:
    assert len(KERNEL) == 11
    assert KERNEL.sum() == pytest.approx(1.0)


def test_luma_weighs_green_most() -> None:
    brightness = {name: float(luma(Image.new("RGB", (1, 1), name))[0, 0]) for name in ("red", "lime", "blue")}
    assert brightness["lime"] > brightness["red"] > brightness["blue"]
