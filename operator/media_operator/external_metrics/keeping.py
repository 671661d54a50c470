"""The Secret and the APIService as `certificates` wants them, by writes that lose against whoever wrote first.

Two replicas do this at the same time. Neither leads: each looks, decides, and writes under the version it saw; the
loser looks again and finds the work done.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from media_core.names import MANAGED_BY_LABEL
from media_operator.adapters.cluster import AlreadyExists, Conflict, NotFound
from media_operator.external_metrics.apiserver import MANAGER, ApiServer, Object
from media_operator.external_metrics.certificates import Keyring, Step, decide, names_of, take
from media_operator.external_metrics.issuing import Lives

log = structlog.get_logger()

LOOKS = 8
"""More writes in a row are lost to nobody who means well."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the keyring is kept and whom it is for."""

    service: str
    namespace: str
    secret: str
    apiservice: str

    @property
    def names(self) -> tuple[str, ...]:
        """What the certificate is made out to."""
        return names_of(self.service, self.namespace)

    @property
    def secrets(self) -> str:
        """Path of the namespace's Secrets."""
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def apiservice_path(self) -> str:
        """Path of the APIService."""
        return f"/apis/apiregistration.k8s.io/v1/apiservices/{self.apiservice}"


class Keeping:
    """Looks after one place."""

    def __init__(self, api: ApiServer, place: Place, clock: Callable[[], datetime], lives: Lives = Lives()) -> None:
        self._api, self._place, self._clock, self._lives = api, place, clock, lives

    async def look(self) -> Keyring:
        """The keyring to serve with, after what was due has been done. Raises ClusterError."""
        for _ in range(LOOKS):
            secret, apiservice = await self._secret(), await self._apiservice()
            trusted = _decoded((apiservice or {}).get("spec", {}).get("caBundle"))
            held = _held(secret)
            step = decide(held, self._place.names, trusted, self._clock(), self._lives)
            keyring = take(step, held, self._place.names, self._clock(), self._lives)
            try:
                if step is not Step.KEEP:
                    await self._write(secret, keyring)
                    log.info("certificates_written", step=step.value, until=_until(keyring))
                    continue
                if apiservice is not None and trusted != keyring.bundle:
                    await self._trust(apiservice, keyring.bundle)
                    log.info("ca_bundle_written", authorities=len(keyring.authorities))
                    continue
            except (Conflict, AlreadyExists, NotFound) as error:
                log.info("write_lost", error=str(error))
                continue
            return keyring
        raise Conflict(409, f"{LOOKS} writes in a row were lost, or did not last")

    async def _secret(self) -> Object | None:
        try:
            return await self._api.get(f"{self._place.secrets}/{self._place.secret}")
        except NotFound:
            return None

    async def _apiservice(self) -> Object | None:
        """None where there is none, or another's: then there is nothing to write, and nobody to trust us."""
        try:
            found = await self._api.get(self._place.apiservice_path)
        except NotFound:
            log.warning("apiservice_missing", apiservice=self._place.apiservice)
            return None
        service = found["spec"].get("service") or {}
        if (service.get("namespace"), service.get("name")) != (self._place.namespace, self._place.service):
            log.error("apiservice_of_another", apiservice=self._place.apiservice, service=service)
            return None
        return found

    async def _write(self, secret: Object | None, keyring: Keyring) -> None:
        values = {key: base64.b64encode(value).decode() for key, value in keyring.written().items()}
        if secret is None:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": self._place.secret, "labels": {MANAGED_BY_LABEL: MANAGER}},
                "data": values,
            }
            await self._api.create(self._place.secrets, body)
        else:
            body = {**secret, "data": {**(secret.get("data") or {}), **values}}
            await self._api.replace(f"{self._place.secrets}/{self._place.secret}", body)

    async def _trust(self, apiservice: Object, bundle: bytes) -> None:
        patch = {
            "metadata": {"resourceVersion": apiservice["metadata"]["resourceVersion"]},
            "spec": {"caBundle": base64.b64encode(bundle).decode()},
        }
        await self._api.merge(self._place.apiservice_path, patch)


def _held(secret: Mapping[str, Any] | None) -> Keyring | None:
    data = (secret or {}).get("data") or {}
    return Keyring.read({key: _decoded(value) for key, value in data.items()})


def _decoded(value: str | None) -> bytes:
    try:
        return base64.b64decode(value or "")
    except binascii.Error:
        return b""


def _until(keyring: Keyring) -> str:
    return keyring.certificate.not_valid_after_utc.isoformat()
