"""The placeholder is a ThumbHash as its author defines it, and the dominant colour is one a person would name."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from media_worker.decoder.steps.impression import dominant_color, placeholder, small
from support.images import BLUE, RED, gradient, quadrants

Plane = NDArray[np.float64]


def channel(plane: Plane, across: int, down: int) -> tuple[float, list[float], float]:
    """Constant, varying terms (scaled to 0..1) and scale of one channel's cosine transform."""
    height, width = plane.shape
    terms: list[float] = []
    for row in range(down):
        for column in range(across):
            if column * down >= across * (down - row):
                break
            x = np.cos(np.pi / width * column * (np.arange(width) + 0.5))
            y = np.cos(np.pi / height * row * (np.arange(height) + 0.5))
            terms.append(float((plane * x[None, :] * y[:, None]).sum() / (width * height)))
    constant, varying = terms[0], terms[1:]
    scale = max((abs(term) for term in varying), default=0.0)
    return constant, [0.5 + 0.5 / scale * term if scale else term for term in varying], scale


def reference(image: Image.Image) -> list[float]:
    """The numbers of a ThumbHash before they are rounded, from its published definition."""
    pixels = np.asarray(image.convert("RGBA"), dtype=np.float64)
    height, width = pixels.shape[:2]
    alpha = pixels[:, :, 3] / 255
    total = alpha.sum()
    average = (pixels[:, :, :3] / 255 * alpha[:, :, None]).sum(axis=(0, 1)) / (total or 1)
    see_through = total < width * height
    color = average * (1 - alpha[:, :, None]) + alpha[:, :, None] * pixels[:, :, :3] / 255
    red, green, blue = color[:, :, 0], color[:, :, 1], color[:, :, 2]
    most = 5 if see_through else 7
    across = max(1, int(most * width / max(width, height) + 0.5))
    down = max(1, int(most * height / max(width, height) + 0.5))
    light, light_terms, light_scale = channel((red + green + blue) / 3, max(3, across), max(3, down))
    yellow, yellow_terms, yellow_scale = channel((red + green) / 2 - blue, 3, 3)
    pink, pink_terms, pink_scale = channel(red - green, 3, 3)
    numbers = [63 * light, 31.5 + 31.5 * yellow, 31.5 + 31.5 * pink, 31 * light_scale, float(see_through)]
    numbers += [float(down if width > height else across), 63 * yellow_scale, 63 * pink_scale, float(width > height)]
    terms = light_terms + yellow_terms + pink_terms
    if see_through:
        alpha_constant, alpha_terms, alpha_scale = channel(alpha, 5, 5)
        numbers += [15 * alpha_constant, 15 * alpha_scale]
        terms += alpha_terms
    return numbers + [15 * term for term in terms] + [0.0] * (len(terms) % 2)


def numbers_of(thumbhash: bytes) -> list[int]:
    """The numbers that are packed into a ThumbHash, in the order of `reference`."""
    head, tail = int.from_bytes(thumbhash[:3], "little"), int.from_bytes(thumbhash[3:5], "little")
    numbers = [head & 63, head >> 6 & 63, head >> 12 & 63, head >> 18 & 31, head >> 23]
    numbers += [tail & 7, tail >> 3 & 63, tail >> 9 & 63, tail >> 15]
    return numbers + [byte >> shift & 15 for byte in thumbhash[5:] for shift in (0, 4)]


def fading(width: int, height: int) -> Image.Image:
    """A gradient that can be seen through to the left."""
    image = gradient(width, height)
    image.putalpha(Image.linear_gradient("L").rotate(90).resize((width, height)))
    return image


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(quadrants(100, 75), id="landscape"),
        pytest.param(quadrants(60, 100), id="portrait"),
        pytest.param(gradient(90, 90), id="square"),
        pytest.param(gradient(100, 3), id="a strip"),
        pytest.param(gradient(1, 100), id="a column"),
        pytest.param(fading(80, 60), id="alpha"),
        pytest.param(fading(50, 100), id="alpha, portrait"),
    ],
)
def test_the_placeholder_is_the_thumbhash_of_the_reference(image: Image.Image) -> None:
    made = numbers_of(base64.b64decode(placeholder(image.convert("RGBA"))))
    exact = reference(image)
    assert len(made) == len(exact)
    # Rounded, where single precision may decide a tie either way.
    assert [pair for pair in zip(made, exact, strict=True) if abs(pair[0] - pair[1]) > 0.52] == []


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3000, 2000), (100, 100)])
def test_pictures_of_any_shape_have_a_placeholder(size: tuple[int, int]) -> None:
    tiny = small(Image.new("RGB", size, RED))
    assert max(tiny.size) <= 100
    assert 5 <= len(base64.b64decode(placeholder(tiny))) <= 45


def color(image: Image.Image) -> tuple[int, ...]:
    return tuple(bytes.fromhex(dominant_color(image.convert("RGBA")).removeprefix("#")))


def test_the_dominant_colour_is_that_of_most_pixels_and_not_their_mean() -> None:
    image = Image.new("RGB", (90, 90), BLUE)
    image.paste(RED, (0, 0, 90, 40))
    assert color(image) == pytest.approx(BLUE, abs=8)


def test_transparent_pixels_have_no_say_in_the_dominant_colour() -> None:
    image = Image.new("RGBA", (90, 90), (0, 255, 0, 0))
    image.paste((*RED, 255), (0, 0, 20, 20))
    assert color(image) == pytest.approx(RED, abs=8)


def test_a_wholly_transparent_picture_has_a_colour_all_the_same() -> None:
    assert len(color(Image.new("RGBA", (10, 10), (0, 0, 0, 0)))) == 3
