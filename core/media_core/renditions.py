"""Renditions: which pictures are made of an image. The geometry itself is the decoder's."""

from __future__ import annotations

from media_core.shape import Shape


class Rendition(Shape):
    """A picture that fits inside a square of `size` x `size` pixels and is never larger than the original."""

    name: str
    size: int


DEFAULT_RENDITIONS = (
    Rendition(name="thumbnail", size=150),
    Rendition(name="medium", size=600),
    Rendition(name="large", size=1200),
)

THUMBNAIL = "thumbnail"
