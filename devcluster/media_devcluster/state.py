"""state.json: what `up` started and where it is, so that a later command finds it, and stops it by pid.

It holds passwords and the secret of the tokens; only its owner may read it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from media_devcluster.processes import Child, Command

FILE = "state.json"


class Part(StrEnum):
    """The processes of a stack, in the order they are started."""

    POSTGRES = "postgres"
    S3 = "s3"
    CLUSTER = "cluster"
    MEDIACONVERT = "mediaconvert"
    MIGRATE = "migrate"
    OPERATOR = "operator"
    API = "api"


STOP_ORDER = (
    (Part.API, Part.OPERATOR, Part.MIGRATE),
    (Part.CLUSTER, Part.MEDIACONVERT),
    (Part.S3, Part.POSTGRES),
)
"""What is stopped together, and after what: first who uses, then what is used."""


class ClusterKind(StrEnum):
    """Where the objects and the worker Jobs are."""

    EMBEDDED = "embedded"
    LOCAL = "local"
    KIND = "kind"
    EXISTING = "existing"


class Running(BaseModel):
    """One process as it was started."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float
    log: Path
    stop_signal: int
    stop_seconds: float

    @classmethod
    def of(cls, child: Child) -> Self:
        """What has to be known of it later."""
        command = child.command
        return cls(
            pid=child.pid,
            started=child.started,
            log=command.log,
            stop_signal=command.stop_signal,
            stop_seconds=command.stop_seconds,
        )

    def child(self, part: Part) -> Child | None:
        """The process, if it still runs."""
        command = Command(
            name=part,
            argv=(),
            log=self.log,
            folder=self.log.parent,
            stop_signal=signal.Signals(self.stop_signal),
            stop_seconds=self.stop_seconds,
        )
        return Child.known(command, self.pid, self.started)


class State(BaseModel):
    """A stack as it was started. What is empty was not started yet, or was not asked for."""

    cluster: ClusterKind
    namespace: str
    token_secret: str
    api_url: str = ""
    operator_url: str = ""
    kubeconfig: str = ""
    database_url: str = ""
    s3_endpoint: str = ""
    bucket: str = ""
    mediaconvert_url: str = ""
    complete: bool = False
    parts: dict[Part, Running] = {}

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The state in that folder; None where nothing was started there (or `down` has been)."""
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except FileNotFoundError:
            return None

    def write(self, folder: Path) -> None:
        """Replace the file in one step."""
        new = folder / f"{FILE}.new"
        new.touch(mode=0o600)
        new.write_text(self.model_dump_json(indent=2), encoding="utf-8")
        os.replace(new, folder / FILE)

    def children(self) -> dict[Part, Child]:
        """The parts that still run."""
        found = {part: running.child(part) for part, running in self.parts.items()}
        return {part: child for part, child in found.items() if child is not None}

    @property
    def dead(self) -> list[Part]:
        """The parts that were started and are gone."""
        alive = self.children()
        return [part for part in self.parts if part not in alive]

    @property
    def serves(self) -> bool:
        """Whether there is a REST API to ask, as far as the processes of this machine tell."""
        return bool(self.api_url) and not {Part.API, Part.CLUSTER} & set(self.dead)


def whole(state: State | None) -> bool:
    """Whether that is a stack that came up and lives in no process of this machine, so that none tells its end."""
    return state is not None and state.complete and not state.parts


async def stop_in_order(children: dict[Part, Child]) -> list[Part]:
    """Stop them, users before what they use. Returns those that had to be killed."""
    killed: list[Part] = []
    for together in STOP_ORDER:
        parts: Sequence[Part] = [part for part in together if part in children]
        willing = await asyncio.gather(*(children[part].stop() for part in parts))
        killed += [part for part, was_willing in zip(parts, willing, strict=True) if not was_willing]
    return killed
