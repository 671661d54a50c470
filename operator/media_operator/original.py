"""Whether an original is still the one that was confirmed.

MediaConvert reads whatever is there when it begins, and does not say which bytes it has read. Whoever uploaded it can
put others in their place for as long as the upload's URL lives.
"""

from __future__ import annotations

from media_core.asset import MediaAsset
from media_core.reasons import Reason
from media_operator.adapters.objectstore import ObjectMissing, ObjectStore

MISSING = (Reason.SOURCE_MISSING, "Its original is not there any more.")
CHANGED = (Reason.SOURCE_CHANGED, "The original is another than the one that was confirmed.")


async def refusal(store: ObjectStore, asset: MediaAsset) -> tuple[Reason, str] | None:
    """Why it is not; None where it is. Raises StoreUnavailable."""
    try:
        etag = await store.etag(asset.spec.source.key)
    except ObjectMissing:
        return MISSING
    return None if etag == asset.spec.source.etag.strip('"') else CHANGED
