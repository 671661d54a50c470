"""Which pool a label selector names. A metric is of one pool; a selector that names none, or several, is refused."""

from __future__ import annotations

import re

from media_operator.external_metrics.documents import POOL, Refusal

_SELECTOR = re.compile(
    r"""\s* (?P<label>[\w./-]+) (?: \s*==?\s* (?P<equal>[a-z0-9][a-z0-9.-]*)
        | \s+in\s*\(\s* (?P<one>[a-z0-9][a-z0-9.-]*) \s*\) ) \s*""",
    re.VERBOSE,
)
LONGEST = 512


def pool_named(selector: str) -> str | Refusal:
    """`pool=X`, `pool==X` and `pool in (X)`, which are the forms in which an HPA's selector arrives."""
    found = _SELECTOR.fullmatch(selector) if len(selector) <= LONGEST else None
    if found is None or found["label"] != POOL:
        told = f"it is {selector[:200]!r}" if selector else "there is none"
        return Refusal(400, "BadRequest", f"The label selector has to name one pool, as in {POOL}=default; {told}.")
    return found["equal"] or found["one"]
