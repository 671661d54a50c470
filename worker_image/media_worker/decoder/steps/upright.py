"""Upright: the camera's orientation becomes pixels, since no rendition carries metadata that could say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from PIL import Image

from media_worker.decoder.steps.picture import Picture

_TURNS: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(picture: Picture) -> Picture:
    """Pixels and plan as the image is meant to be seen."""
    turn = _TURNS.get(picture.orientation)
    if turn is None:
        return picture
    plan = picture.plan.turned if picture.orientation >= 5 else picture.plan
    return replace(picture, pixels=picture.pixels.transpose(turn), plan=plan, orientation=1)
