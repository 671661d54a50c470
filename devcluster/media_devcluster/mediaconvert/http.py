"""The HTTP face: finds out which operation a request is, lets faults have their way, and answers as the service."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from aiohttp import web
from botocore.model import OperationModel

from media_devcluster.mediaconvert import model, probing, rules
from media_devcluster.mediaconvert.errors import JobFailed, ServiceError, bad_request
from media_devcluster.mediaconvert.faults import Effect, Faults
from media_devcluster.mediaconvert.jobs import Jobs, Status
from media_devcluster.mediaconvert.orders import Orders
from media_devcluster.mediaconvert.outputs import Place
from media_devcluster.mediaconvert.running import Running
from media_devcluster.mediaconvert.transcoding import fetched

CONTROL = "/_faults"
SIGNED = "AWS4-HMAC-SHA256"
SCOPE = "/mediaconvert/aws4_request"
log = structlog.get_logger(__name__)
Object = dict[str, Any]


class Api:
    """One endpoint of the service."""

    def __init__(self, jobs: Jobs, running: Running, faults: Faults, s3: Any, folder: Path) -> None:
        self._jobs, self._running, self._faults, self._s3, self._folder = jobs, running, faults, s3, folder
        self.calls: Counter[str] = Counter()
        self._orders = Orders(jobs, running, faults, self.calls)
        self._serve: dict[str, Callable[[Object], Awaitable[Object]]] = {
            "CreateJob": self._create,
            "GetJob": self._get,
            "ListJobs": self._list,
            "CancelJob": self._cancel,
            "Probe": self._probe,
            "CreateQueue": self._create_queue,
            "GetQueue": self._get_queue,
            "ListQueues": self._list_queues,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        try:
            if request.path == CONTROL:
                return web.json_response(await self._orders.control(request.method, await _body(request)))
            return await self._troubled(request)
        except ServiceError as error:
            return _refused(error)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            log.exception("request failed", method=request.method, path=request.path)
            return _refused(ServiceError(500, f"The double broke: {error!r}"))

    async def _troubled(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers under the faults that are switched on."""
        found = model.route(request.method, request.path)
        if found is None:
            raise ServiceError(404, f"There is no operation {request.method} {request.path}.")
        operation, placed = found
        self.calls[operation.name] += 1
        acting = self._faults.on_request(operation.name)
        effects = {fault.effect for fault in acting}
        await asyncio.sleep(sum(fault.seconds for fault in acting if fault.effect is Effect.LATENCY))
        if Effect.CLOSE in effects:
            return _hang_up(request)
        for fault in acting:
            if (refusal := fault.refusal()) is not None:
                raise refusal
        answer = await self._answer(request, operation, placed)
        return _hang_up(request) if Effect.LOSE_ANSWER in effects else answer

    async def _answer(
        self, request: web.BaseRequest, operation: OperationModel, placed: dict[str, str]
    ) -> web.StreamResponse:
        signature = request.headers.get("Authorization", "")
        if not signature.startswith(SIGNED) or SCOPE not in signature:
            raise ServiceError(403, "The request is not signed for mediaconvert.")
        serve = self._serve.get(operation.name)
        if serve is None:
            raise bad_request(f"the double does not know {operation.name}")
        asked = {**await _body(request), **model.integers(operation, dict(request.query)), **placed}
        answer = model.write(operation, await serve(model.read(operation, asked)))
        return web.json_response(answer, status=int(operation.http["responseCode"]))

    async def _create(self, asked: Object) -> Object:
        if "ClientRequestToken" not in asked:
            raise bad_request("/clientRequestToken: is a required property")
        if problems := rules.refusals(asked):
            raise bad_request(*problems)
        job, new = self._jobs.submit(asked)
        if new:
            self._running.take(job)
        return {"Job": self._jobs.to_answer(job)}

    async def _get(self, asked: Object) -> Object:
        return {"Job": self._jobs.to_answer(self._jobs.get(asked["Id"]))}

    async def _list(self, asked: Object) -> Object:
        return self._jobs.page(asked)

    async def _cancel(self, asked: Object) -> Object:
        await self._running.cancel(self._jobs.get(asked["Id"]))
        return {}

    async def _probe(self, asked: Object) -> Object:
        files = asked.get("InputFiles", [])
        if len(files) != 1:
            raise bad_request("/inputFiles: the double probes one file at a time")
        place = Place.of(files[0].get("FileUrl", ""))
        with TemporaryDirectory(prefix="probe-", dir=self._folder) as name:
            path = Path(name) / "input"
            try:
                told = await fetched(self._s3, place, path)
                source = await probing.probe(path)
            except JobFailed as error:
                raise ServiceError(404, error.message) from error
            except probing.Unreadable as error:
                raise ServiceError(422, f"The input file is malformed or not supported: {error}") from error
        metadata = {"ETag": told["ETag"], "FileSize": told["ContentLength"], "MimeType": told["ContentType"]}
        return {"ProbeResults": [source.to_probe_result(metadata)]}

    async def _create_queue(self, asked: Object) -> Object:
        return {"Queue": self._jobs.create_queue(asked)}

    async def _get_queue(self, asked: Object) -> Object:
        return {"Queue": self._counted(self._jobs.queue(asked["Name"]))}

    async def _list_queues(self, asked: Object) -> Object:
        return {"Queues": [self._counted(queue) for queue in self._jobs.queues()]}

    def _counted(self, queue: Object) -> Object:
        inside = Counter(job.status for job in self._jobs.all() if job.queue == queue["Arn"])
        counts = {
            "SubmittedJobsCount": inside[Status.SUBMITTED],
            "ProgressingJobsCount": inside[Status.PROGRESSING],
        }
        return {**queue, **counts}


async def _body(request: web.BaseRequest) -> Object:
    text = await request.text()
    try:
        body = json.loads(text) if text else {}
    except ValueError as error:
        raise bad_request(f"not JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad_request("not a JSON object")
    return body


def _refused(error: ServiceError) -> web.Response:
    headers = {"x-amzn-ErrorType": error.name}
    return web.json_response({"message": error.message}, status=error.status, headers=headers)


def _hang_up(request: web.BaseRequest) -> web.Response:
    """Closes the connection; the response is never seen."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
