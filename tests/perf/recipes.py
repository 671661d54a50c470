"""Ways to make the renditions of a JPEG with Pillow: the combinations of which the frontier is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import product

from PIL import Image

from media_core.renditions import DEFAULT_RENDITIONS
from media_worker.decoder.geometry import Size, fit
from media_worker.decoder.pipeline import render
from media_worker.decoder.protocol import Limits, RenditionSize, Request
from perf.peer import recipe as peer

Made = list[bytes]
"""WebP files in the order of DEFAULT_RENDITIONS."""
RENDITIONS = tuple(RenditionSize(rendition.name, rendition.size) for rendition in DEFAULT_RENDITIONS)
SPLIT = "4/2"
"""Method 4 up to 600 pixels, 2 above."""
FILTERS = (Image.Resampling.LANCZOS, Image.Resampling.BICUBIC, Image.Resampling.HAMMING)


@dataclass(frozen=True)
class Recipe:
    """Each size from the next larger one; `draft` lets the JPEG decoder shrink by a whole factor first."""

    filter: Image.Resampling = Image.Resampling.LANCZOS
    method: str = SPLIT
    gap: float | None = 2.0
    draft: bool = True
    quality: int = 80

    @property
    def name(self) -> str:
        """As a row of a table is headed."""
        gap = "none" if self.gap is None else f"{self.gap:g}"
        return f"{self.filter.name} m{self.method} gap {gap} {'draft' if self.draft else 'full'} q{self.quality}"

    def make(self, data: bytes) -> Made:
        """All renditions."""
        image = Image.open(BytesIO(data))
        original = Size(*image.size)
        sizes = {rendition.size: fit(original, rendition.size).pair for rendition in RENDITIONS}
        if self.draft:
            image.draft(None, sizes[max(sizes)])
        pixels: Image.Image = image.convert("RGB")
        files = {}
        for box in sorted(sizes, reverse=True):
            if pixels.size != sizes[box]:
                pixels = pixels.resize(sizes[box], self.filter, reducing_gap=self.gap)
            file = BytesIO()
            method = (2 if box > 600 else 4) if self.method == SPLIT else int(self.method)
            pixels.save(file, "WEBP", quality=self.quality, method=method)
            files[box] = file.getvalue()
        return [files[rendition.size] for rendition in RENDITIONS]


def frontier(*, whole: bool = False) -> Iterator[Recipe]:
    """The combinations worth looking at, or every one."""
    for chosen, method, gap in product(FILTERS, ("2", SPLIT, "4"), (None, 1.1, 2.0)):
        yield Recipe(chosen, method, gap)
    if whole:
        for chosen, method, gap in product(FILTERS, ("0", "2", "4"), (None, 1.1, 2.0, 3.0)):
            yield Recipe(chosen, method, gap, draft=False)
    else:
        yield Recipe(method="2", draft=False)
        yield Recipe(method="4", draft=False)
    for quality in (82, 84):
        yield Recipe(Image.Resampling.HAMMING, "2", 1.1, quality=quality)
        yield Recipe(Image.Resampling.BICUBIC, "2", 1.1, quality=quality)


def ours(data: bytes) -> Made:
    """As the decoder does it, with all it does beside: limits, profile, placeholder, colours."""
    decoded = render(BytesIO(data), Request(RENDITIONS, "image/jpeg", Limits(), len(data)))
    return [variant.data for variant in decoded.variants]


def theirs(data: bytes) -> Made:
    """As the peer does it."""
    return [body for _name, body in peer.renditions(data)]


def makers(*, whole: bool = False) -> dict[str, Callable[[bytes], Made]]:
    """Every way by its name."""
    return {"ours": ours, "peer": theirs, **{recipe.name: recipe.make for recipe in frontier(whole=whole)}}
