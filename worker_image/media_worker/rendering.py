"""The way of one image through a worker: fetch the original, decode it, upload its renditions.

Says what came of it as a report's outcome, and never reports itself. Whoever runs it is asked at two points (`Turns`):
before decoding, which waits for a free decoder, and when the decoder is free again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from media_core.asset import AssetType, MediaAsset, Result, Source, Variant
from media_core.keys import rendition_key
from media_core.reasons import Reason
from media_core.renditions import Rendition
from media_worker.calls import StorageUnavailable
from media_worker.carrying import Stopwatch, Turns, outcome_of, refused, unacceptable
from media_worker.decoder.client import Decoded, DecodeRefused, DecoderUnavailable
from media_worker.decoder.fields import HeaderInvalid
from media_worker.decoder.frames import WireBroken
from media_worker.decoder.protocol import Limits
from media_worker.original import Original
from media_worker.patience import patiently
from media_worker.report import Completed, Failed, GivenBack, Outcome

DEATHS = 2
"""A decoder that goes away once may have been restarted for another image's sake; twice, it is this one's."""


class OriginalsAndRenditions(Protocol):
    """Object storage: see `transfer.Storage`."""

    async def fetch(self, source: Source) -> Original: ...

    async def put(self, key: str, body: bytes) -> None: ...


class Decoder(Protocol):
    """The other container: see `decoder.client.DecoderClient`."""

    async def decode(
        self, original: Original, *, content_type: str, renditions: Sequence[Rendition], limits: Limits
    ) -> Decoded: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is made of every image, and within which limits."""

    bucket: str
    renditions: tuple[Rendition, ...]
    max_original_bytes: int
    max_pixels: int
    max_frames: int
    asset_timeout_seconds: float
    decoder_patience_seconds: float


class Rendering:
    """Carries assets through, each by one call of `carry`."""

    def __init__(self, recipe: Recipe, storage: OriginalsAndRenditions, decoder: Decoder) -> None:
        self._recipe = recipe
        self._storage = storage
        self._decoder = decoder

    async def carry(self, asset: MediaAsset, turns: Turns, watch: Stopwatch) -> Outcome:
        """The outcome for one asset. When it returns or is cancelled, nothing of it runs any more."""
        recipe = self._recipe
        problem = unacceptable(asset, AssetType.IMAGE, recipe.bucket, recipe.max_original_bytes)
        if problem is not None:
            return problem
        return await outcome_of(self._rendered(asset, turns, watch))

    async def _rendered(self, asset: MediaAsset, turns: Turns, watch: Stopwatch) -> Outcome:
        decoded = await self._decoded(asset, turns, watch)
        if isinstance(decoded, Failed | GivenBack):
            return decoded
        await self._upload(asset, decoded)
        watch.lap("uploaded_ms")
        return Completed(_result(decoded))

    async def _decoded(self, asset: MediaAsset, turns: Turns, watch: Stopwatch) -> Decoded | Failed | GivenBack:
        """Fetch and decode. The original is open in here only, so that it is gone when uploading begins."""
        with await self._storage.fetch(asset.spec.source) as original:
            watch.lap("fetched_ms")
            await turns.fetched()
            watch.restart()
            try:
                return await self._decode(original, asset.spec.source.content_type)
            finally:
                watch.lap("decoded_ms")
                turns.decoded()

    async def _decode(self, original: Original, content_type: str) -> Decoded | Failed | GivenBack:
        seconds = self._recipe.asset_timeout_seconds
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds

        deaths = 0

        async def once() -> Decoded:
            nonlocal deaths
            limits = Limits(self._recipe.max_pixels, self._recipe.max_frames, max(1, ceil(deadline - loop.time())))
            try:
                return await self._decoder.decode(
                    original, content_type=content_type, renditions=self._recipe.renditions, limits=limits
                )
            except DecoderUnavailable as error:
                deaths += _died_on_it(error)
                if deaths < DEATHS:
                    raise
                raise DecodeRefused(
                    Reason.DECODER_CRASHED, f"The decoder died {deaths} times while it worked on this image."
                ) from error

        try:
            async with asyncio.timeout_at(deadline):
                return await patiently(once, DecoderUnavailable, self._recipe.decoder_patience_seconds)
        except TimeoutError:
            return Failed(Reason.DEADLINE_EXCEEDED, f"It was not decoded within {seconds:.0f} s.")
        except DecoderUnavailable as error:
            waited = self._recipe.decoder_patience_seconds
            return GivenBack(Reason.INTERNAL_ERROR, f"The decoder did not answer for {waited:.0f} s: {error}")
        except DecodeRefused as refusal:
            return refused(refusal.reason, refusal.message)

    async def _upload(self, asset: MediaAsset, decoded: Decoded) -> None:
        """All renditions at once; the first that cannot be stored stops the others."""
        spec = asset.spec
        try:
            async with asyncio.TaskGroup() as uploads:
                for variant in decoded.variants:
                    key = rendition_key(spec.asset_type, spec.owner, asset.name, variant.name)
                    uploads.create_task(self._storage.put(key, variant.data))
        except* StorageUnavailable as errors:
            raise StorageUnavailable(str(errors.exceptions[0])) from errors


def _died_on_it(error: DecoderUnavailable) -> bool:
    """Whether the decoder took the image and broke off or spoke nonsense, rather than not being there."""
    return isinstance(error.__cause__, WireBroken | HeaderInvalid)


def _result(decoded: Decoded) -> Result:
    return Result(
        width=decoded.width,
        height=decoded.height,
        frames=decoded.frames,
        placeholder=decoded.placeholder,
        dominant_color=decoded.dominant_color,
        recipe_version=decoded.recipe_version,
        variants=tuple(
            Variant(name=variant.name, width=variant.width, height=variant.height, bytes=len(variant.data))
            for variant in decoded.variants
        ),
    )
