"""The recipe on images of every kind. In this process, on purpose: the children are for what is hostile."""

from __future__ import annotations

import weakref
from io import BytesIO

import pytest
from PIL import Image, ImageChops

from media_core.reasons import Reason
from media_worker.decoder import pipeline
from media_worker.decoder.formats import CONTENT_TYPES, Format
from media_worker.decoder.geometry import Plan, Size
from media_worker.decoder.pipeline import RECIPE_VERSION, render
from media_worker.decoder.protocol import Decoded, DecodeRefused, EncodedVariant, Limits, RenditionSize, Request
from media_worker.decoder.steps.encode import encode
from media_worker.decoder.steps.fidelity import fidelity
from media_worker.decoder.steps.load import load
from media_worker.decoder.steps.picture import Picture
from media_worker.decoder.steps.shrink import resized
from support.images import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    alike,
    animated,
    camera_exif,
    corners,
    encoded,
    endless_gif,
    gradient,
    opened,
    png_bomb,
    profile,
    quadrants,
    swapping_profile,
)

THREE = (RenditionSize("thumbnail", 150), RenditionSize("medium", 600), RenditionSize("large", 1200))
TYPE_OF = {format_: content_type for content_type, format_ in CONTENT_TYPES.items()}
QUADRANTS = [RED, GREEN, BLUE, YELLOW]
AS_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera held in that orientation stores what is upright (EXIF 6: the first row is the right side)."""


def rendered(
    data: bytes,
    content_type: str = "image/jpeg",
    *,
    renditions: tuple[RenditionSize, ...] = THREE,
    limits: Limits | None = None,
) -> Decoded:
    return render(BytesIO(data), Request(renditions, content_type, limits or Limits(), len(data)))


def refused(data: bytes, content_type: str = "image/jpeg", *, limits: Limits | None = None) -> DecodeRefused:
    with pytest.raises(DecodeRefused) as refusal:
        rendered(data, content_type, limits=limits)
    assert refusal.value.message.endswith(".")
    assert "0x" not in refusal.value.message, "no addresses of objects in what people read"
    return refusal.value


def looks_like(data: bytes, expected: list[tuple[int, int, int]]) -> bool:
    return all(alike(seen, wanted) for seen, wanted in zip(corners(data), expected, strict=True))


@pytest.mark.parametrize("format_", list(Format))
def test_every_format_gives_every_rendition(format_: Format) -> None:
    made = rendered(encoded(quadrants(1600, 1200), format_.value), TYPE_OF[format_])
    assert (made.width, made.height, made.frames, made.recipe_version) == (1600, 1200, 1, RECIPE_VERSION)
    assert [(v.name, v.width, v.height) for v in made.variants] == [
        ("thumbnail", 150, 113),
        ("medium", 600, 450),
        ("large", 1200, 900),
    ]
    for variant in made.variants:
        image = opened(variant.data)
        assert (image.format, image.size) == ("WEBP", (variant.width, variant.height))
        assert looks_like(variant.data, QUADRANTS)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_every_orientation_comes_out_upright(orientation: int, format_: str) -> None:
    shown = quadrants(400, 300)
    stored = shown.transpose(AS_STORED[orientation]) if orientation in AS_STORED else shown
    data = encoded(stored, format_, exif=camera_exif(orientation).tobytes())
    made = rendered(data, TYPE_OF[Format(format_)])
    assert (made.width, made.height) == (400, 300)
    assert [(v.width, v.height) for v in made.variants] == [(150, 113), (400, 300), (400, 300)]
    assert all(looks_like(variant.data, QUADRANTS) for variant in made.variants)


@pytest.mark.parametrize(
    ("mode", "format_"),
    [
        ("CMYK", "JPEG"),
        ("L", "JPEG"),
        ("1", "PNG"),
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("I;16", "PNG"),
        ("P", "GIF"),
        ("RGBA", "WEBP"),
        ("RGBA", "AVIF"),
        ("RGBA", "HEIF"),
    ],
)
def test_every_mode_gives_renditions_with_its_light_and_shade(mode: str, format_: str) -> None:
    source = Image.linear_gradient("L").resize((300, 300))
    image = source.convert("I").point(lambda value: value * 257).convert("I;16") if mode == "I;16" else source
    image = image if mode == "I;16" else image.convert("RGB").convert(mode)
    made = rendered(encoded(image, format_), TYPE_OF[Format(format_)])
    result = opened(made.variants[1].data).convert("L")
    dark, light = result.getpixel((150, 20)), result.getpixel((150, 280))
    assert isinstance(dark, int)
    assert isinstance(light, int)
    assert dark < 60 < 190 < light


def test_transparency_is_kept() -> None:
    image = quadrants(800, 600).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 400, 300))
    for variant in rendered(encoded(image, "PNG"), "image/png").variants:
        alpha = opened(variant.data).getchannel("A")
        assert alpha.getpixel((variant.width // 4, variant.height // 4)) == 0
        assert alpha.getpixel((variant.width * 3 // 4, variant.height * 3 // 4)) == 255


def test_the_edge_of_what_is_transparent_has_no_fringe_of_hidden_colour() -> None:
    image = Image.new("RGBA", (800, 800), (255, 0, 255, 0))
    image.paste((255, 255, 255, 255), (200, 200, 600, 600))
    result = opened(rendered(encoded(image, "PNG"), "image/png").variants[0].data)
    on_white = Image.alpha_composite(Image.new("RGBA", result.size, "white"), result).convert("RGB")
    assert min(channel[0] for channel in on_white.getextrema()) > 200


def test_a_palette_with_a_transparent_colour_stays_transparent() -> None:
    image = Image.new("P", (300, 300), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (100, 100, 200, 200))
    made = rendered(encoded(image, "GIF", transparency=0), "image/gif")
    result = opened(made.variants[1].data)
    assert result.getchannel("A").getextrema() == (0, 255)
    assert made.dominant_color in ("#0000ff", "#0000fe")


def test_an_opaque_alpha_channel_is_left_out() -> None:
    made = rendered(encoded(quadrants().convert("RGBA"), "PNG"), "image/png")
    assert opened(made.variants[0].data).mode == "RGB"


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_colours_are_converted_from_the_profile_they_are_in(format_: str) -> None:
    data = encoded(quadrants(), format_, icc_profile=swapping_profile())
    made = rendered(data, TYPE_OF[Format(format_)])
    assert looks_like(made.variants[0].data, [BLUE, GREEN, RED, (30, 220, 230)])


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"junk", id="junk"),
        pytest.param(b"\0" * 200, id="zeros"),
        pytest.param(profile()[:150], id="one that is cut off"),
        pytest.param(profile("LAB"), id="one that is no device's"),
    ],
)
def test_a_profile_that_cannot_be_used_is_left_out_of_account(junk: bytes) -> None:
    made = rendered(encoded(quadrants(), "PNG", icc_profile=junk), "image/png")
    assert looks_like(made.variants[0].data, QUADRANTS)


def test_a_profile_for_other_channels_than_the_pixels_have_is_left_out_of_account() -> None:
    made = rendered(encoded(quadrants().convert("L"), "JPEG", icc_profile=swapping_profile()))
    assert opened(made.variants[0].data).size == (150, 113)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_nothing_but_pixels_comes_through(format_: str) -> None:
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SecretXmp</x:xmpmeta>"
    more = {"comment": b"SecretComment"} if format_ == "JPEG" else {}
    data = encoded(
        quadrants(1600, 1200), format_, exif=camera_exif().tobytes(), icc_profile=swapping_profile(), xmp=xmp, **more
    )
    assert b"Secret" in data
    for variant in rendered(data, TYPE_OF[Format(format_)]).variants:
        assert not any(chunk in variant.data for chunk in (b"Secret", b"EXIF", b"Exif", b"XMP ", b"ICCP", b"xmp"))
        assert not opened(variant.data).info.keys() & {"exif", "xmp", "icc_profile", "comment"}


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 500])
def test_broken_exif_does_no_harm(exif: bytes) -> None:
    made = rendered(encoded(quadrants(), "JPEG", exif=exif))
    assert looks_like(made.variants[0].data, QUADRANTS)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3), (149, 151)])
def test_images_of_any_shape_give_renditions_that_are_not_enlarged(size: tuple[int, int]) -> None:
    made = rendered(encoded(gradient(*size), "PNG"), "image/png")
    assert (made.width, made.height) == size
    for variant, asked in zip(made.variants, THREE, strict=True):
        image = opened(variant.data)
        assert image.size == (variant.width, variant.height)
        assert max(image.size) <= min(asked.size, max(size))


def test_a_small_original_gives_the_same_picture_for_every_rendition() -> None:
    made = rendered(encoded(quadrants(100, 80), "JPEG"))
    assert {(v.width, v.height) for v in made.variants} == {(100, 80)}
    assert len({v.data for v in made.variants}) == 1


def test_the_renditions_come_in_the_order_they_were_asked_for() -> None:
    asked = (RenditionSize("m", 300), RenditionSize("xl", 900), RenditionSize("s", 10), RenditionSize("m2", 300))
    made = rendered(encoded(gradient(1000, 500), "JPEG"), renditions=asked)
    assert [(v.name, v.width) for v in made.variants] == [("m", 300), ("xl", 900), ("s", 10), ("m2", 300)]


def test_a_progressive_jpeg_is_decoded() -> None:
    made = rendered(encoded(quadrants(2000, 1500), "JPEG", progressive=True))
    assert looks_like(made.variants[2].data, QUADRANTS)


def test_the_fast_way_to_a_small_picture_looks_like_the_slow_one() -> None:
    original = gradient(4000, 3000)
    fast = opened(rendered(encoded(original, "JPEG", quality=95)).variants[1].data).convert("RGB")
    slow = original.resize((600, 450), Image.Resampling.LANCZOS)
    difference = ImageChops.difference(fast, slow).convert("L").histogram()
    assert sum(level * count for level, count in enumerate(difference)) / (600 * 450) < 2


def test_a_jpeg_with_a_second_picture_in_it_is_one_photograph() -> None:
    second = [quadrants(80, 60)]
    data = encoded(quadrants(), "MPO", save_all=True, append_images=second)
    made = rendered(data)
    assert (made.width, made.height, made.frames) == (400, 300, 1)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_gives_its_first_frame_and_their_number(format_: str) -> None:
    made = rendered(animated(format_, 5), TYPE_OF[Format(format_)])
    assert made.frames == 5
    assert alike(corners(made.variants[0].data)[0], RED, tolerance=40)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_with_too_many_frames_is_refused(format_: str) -> None:
    refusal = refused(animated(format_, 12), TYPE_OF[Format(format_)], limits=Limits(max_frames=10))
    assert refusal.reason is Reason.TOO_MANY_FRAMES
    assert "10 are allowed" in refusal.message


def test_a_gif_of_millions_of_frames_is_refused_without_counting_them() -> None:
    assert refused(endless_gif(200_000), "image/gif").reason is Reason.TOO_MANY_FRAMES


@pytest.mark.parametrize("size", [(30000, 30000), (7072, 7072), (9000, 9000), (1, 60_000_000)])
def test_a_header_that_promises_too_many_pixels_is_refused_before_any_is_decoded(size: tuple[int, int]) -> None:
    refusal = refused(png_bomb(*size), "image/png")
    assert refusal.reason is Reason.TOO_MANY_PIXELS
    assert str(size[0] * size[1]) in refusal.message
    assert "50000000 are allowed" in refusal.message


@pytest.mark.parametrize("format_", list(Format))
def test_every_format_is_held_to_the_limit(format_: Format) -> None:
    limits = Limits(max_pixels=100 * 75 - 1)
    refusal = refused(encoded(quadrants(100, 75), format_.value), TYPE_OF[format_], limits=limits)
    assert refusal.reason is Reason.TOO_MANY_PIXELS
    assert "7499 are allowed" in refusal.message


@pytest.mark.parametrize("format_", [f for f in Format if f is not Format.GIF])
@pytest.mark.parametrize("part", [0.3, 0.7, 0.97])
def test_a_truncated_image_is_refused_with_a_reason(format_: Format, part: float) -> None:
    data = encoded(gradient(640, 480), format_.value)
    assert refused(data[: int(len(data) * part)], TYPE_OF[format_]).reason is Reason.UNDECODABLE


def test_a_png_that_promises_more_than_it_holds_is_refused() -> None:
    assert refused(png_bomb(1000, 1000), "image/png").reason is Reason.UNDECODABLE


def test_an_empty_file_is_refused() -> None:
    refusal = refused(b"")
    assert refusal.reason is Reason.UNDECODABLE
    assert "0 bytes" in refusal.message


@pytest.mark.parametrize("format_", list(Format))
def test_a_header_without_an_image_is_refused(format_: Format) -> None:
    assert refused(encoded(gradient(64, 64), format_.value)[:32], TYPE_OF[format_]).reason is Reason.UNDECODABLE


def test_a_file_that_is_not_what_it_was_declared_as_is_refused_by_both_names() -> None:
    refusal = refused(encoded(gradient(64, 64), "JPEG"), "image/png")
    assert refusal.reason is Reason.UNSUPPORTED_FORMAT
    assert "image/png" in refusal.message
    assert "JPEG" in refusal.message


@pytest.mark.parametrize("format_", ["BMP", "TIFF", "PPM", "ICO", "EPS", "PDF", "JPEG2000"])
def test_a_format_that_is_not_decoded_here_is_refused_whatever_it_was_declared_as(format_: str) -> None:
    data = encoded(gradient(64, 64), format_)
    assert refused(data, "image/jpeg").reason is Reason.UNSUPPORTED_FORMAT
    assert refused(data, f"image/{format_.lower()}").reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("data", [b"<svg onload='alert(1)'/>", b"MZ" + b"\0" * 100, b"\xff" * 1000])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refused(data).reason is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("size", [Size(1200, 900), Size(7, 5), Size(1, 1)])
def test_resizing_is_the_lanczos_of_the_imaging_library_in_every_mode(mode: str, size: Size) -> None:
    """Of more pixels than the imaging library keeps in one piece of memory."""
    original = gradient(2500, 2000).convert("RGBA")
    original.putalpha(Image.radial_gradient("L").resize(original.size))
    original = original.convert("RGB").convert(mode) if mode == "CMYK" else original.convert(mode)
    expected = original.resize(size.pair, Image.Resampling.LANCZOS)
    assert resized(original, size).mode == mode
    difference = ImageChops.difference(
        Image.merge("RGBA", _bands(resized(original, size))), Image.merge("RGBA", _bands(expected))
    )
    assert max(high for _low, high in difference.getextrema()) <= 3


def _bands(image: Image.Image) -> list[Image.Image]:
    """Four, whatever the mode; colours as they are seen on black, since those of what is not seen do not matter."""
    if image.mode in ("LA", "RGBA"):
        alpha = image.getchannel("A")
        colours = Image.composite(image.convert("RGB"), Image.new("RGB", image.size), alpha)
        return [*colours.split(), alpha]
    bands = list(image.split())
    return [*bands, *(Image.new("L", image.size) for _ in range(4 - len(bands)))]


def test_a_rendition_is_the_smaller_in_effort_and_quality_the_more_pixels_it_has() -> None:
    thumbnail, medium, large = (fidelity(Size(side, side // 2)) for side in (150, 600, 1200))
    assert thumbnail.quality > medium.quality > large.quality
    assert thumbnail.method > medium.method > large.method
    assert fidelity(Size(1, 50_000)) == large


def test_the_decoded_original_is_gone_when_the_renditions_are_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[weakref.ref[Image.Image]] = []
    alive: list[bool] = []

    def load_watched(image: Image.Image, wanted: Plan) -> Picture:
        picture = load(image, wanted)
        decoded.append(weakref.ref(picture.pixels))
        return picture

    def encode_watched(picture: Picture) -> tuple[tuple[EncodedVariant, ...], Image.Image]:
        alive.append(decoded[0]() is not None)
        return encode(picture)

    monkeypatch.setattr(pipeline, "load", load_watched)
    monkeypatch.setattr(pipeline, "encode", encode_watched)
    rendered(encoded(gradient(2500, 2000), Format.PNG), "image/png")
    assert alive == [False]
