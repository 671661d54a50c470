"""Delivers reports to the Kubernetes API: tried until one of them is in, or proves not to be ours to make.

Apart from `report`, which builds the patches without I/O, and from `worker`, which decides what is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from media_core.asset import MediaAsset
from media_core.reasons import Reason
from media_worker.assets_api import ApiUnavailable, AssetMissing, AssetsApi, PatchRefused
from media_worker.hand import Claim
from media_worker.patience import wait_for_api
from media_worker.report import GivenBack, Progress, Report, Verdict, judge, mention, patch

log = structlog.get_logger()
Sight = Callable[[], MediaAsset]


class Delivery:
    """Reports of one Job's worker. Endless by design: the process's end is what bounds it."""

    def __init__(self, api: AssetsApi, job: str, now: Callable[[], datetime]) -> None:
        self._api = api
        self._job = job
        self._now = now

    async def deliver(self, claim: Claim, sight: Sight, report: Report) -> MediaAsset | None:
        """The asset with this very report in it; None where the asset is not ours any more, or was given back."""
        seen = sight
        while True:
            try:
                return await self._patiently(claim, seen, report)
            except AssetMissing:
                log.info("report_dropped", asset_id=claim.asset_id, why="the asset is gone", report=_name(report))
                return None
            except PatchRefused as refusal:
                fresh = await self._fresh(claim)
                match judge(claim, self._job, fresh, report):
                    case Verdict.ARRIVED:
                        return fresh
                    case Verdict.NOT_OURS:
                        log.info(
                            "report_dropped", asset_id=claim.asset_id, why="bound elsewhere", report=_name(report)
                        )
                        return None
                    case Verdict.REFUSED:
                        log.error("report_refused", asset_id=claim.asset_id, report=_name(report), error=str(refusal))
                        if isinstance(report, GivenBack) or fresh is None:
                            return None
                        await self._give_back(claim, fresh, str(refusal))
                        return None

    async def mention(self, claim: Claim, seen: MediaAsset, progress: Progress) -> MediaAsset | None:
        """The asset with the progress in it; None where it did not get through, which nobody has to know."""
        try:
            return await self._api.patch_status(claim.asset_id, mention(claim, self._job, seen, progress))
        except (ApiUnavailable, AssetMissing, PatchRefused) as error:
            log.debug("progress_dropped", asset_id=claim.asset_id, percent=progress.percent, error=str(error))
            return None

    async def _give_back(self, claim: Claim, fresh: MediaAsset, error: str) -> None:
        message = f"The API server refused the worker's report: {error}"
        await self.deliver(claim, lambda: fresh, GivenBack(Reason.INTERNAL_ERROR, message))

    async def _patiently(self, claim: Claim, sight: Sight, report: Report) -> MediaAsset:
        attempt = 0
        while True:
            try:
                change = patch(claim, self._job, sight(), report, self._now())
                return await self._api.patch_status(claim.asset_id, change)
            except ApiUnavailable as error:
                log.warning("report_held", asset_id=claim.asset_id, report=_name(report), error=str(error))
                await wait_for_api(attempt, error.retry_after)
                attempt += 1

    async def _fresh(self, claim: Claim) -> MediaAsset | None:
        attempt = 0
        while True:
            try:
                return await self._api.read(claim.asset_id)
            except AssetMissing:
                return None
            except ApiUnavailable as error:
                await wait_for_api(attempt, error.retry_after)
                attempt += 1


def _name(report: Report) -> str:
    return type(report).__name__
