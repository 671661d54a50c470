"""The demo: a stack from nothing, files carried through it, and what came out laid on a contact sheet."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from media_core.names import ASSETS
from media_devcluster import checkout, sheet
from media_devcluster.carrying import Carried, Progress, carry_all
from media_devcluster.client import Client, Refused
from media_devcluster.sheet import Card
from media_devcluster.stack import Stack

USER = "demo"
MEDIA = "media"
PLAYLIST = ".m3u8"
KUBECTL_SECONDS = 30


@dataclass(frozen=True)
class Shown:
    """What the demo has to show."""

    rows: list[Carried]
    table: str
    page: Path


async def show(
    stack: Stack, files: Sequence[Path], output: Path, wait_seconds: float, progress: Progress | None = None
) -> Shown:
    """Carry the files through the stack and write the contact sheet into `output`."""
    async with Client(stack.state.api_url, stack.token(USER)) as client:
        rows = await carry_all(client, files, wait_seconds=wait_seconds, progress=progress)
        table = await asyncio.to_thread(kubectl_table, stack)
        await asyncio.to_thread(_fresh, output)
        cards = [await _card(client, output, number, row) for number, row in enumerate(rows, start=1)]
    page = await asyncio.to_thread(sheet.write, output, cards)
    return Shown(rows, table, page)


def kubectl_table(stack: Stack) -> str:
    """What the stock kubectl says of the assets."""
    state = stack.state
    command = (checkout.program("kubectl"), "--kubeconfig", state.kubeconfig, "-n", state.namespace, "get", ASSETS)
    said = subprocess.run(command, capture_output=True, text=True, timeout=KUBECTL_SECONDS, check=False)
    return (said.stdout or said.stderr).rstrip()


def _fresh(output: Path) -> None:
    """The folder, without the media of an earlier demo; anything else in it stays."""
    output.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(output / MEDIA, ignore_errors=True)
    (output / MEDIA).mkdir()


async def _card(client: Client, output: Path, number: int, row: Carried) -> Card:
    """Put the row's files beside the page."""
    if row.media is None:
        return Card(row, None, {})
    place = f"{MEDIA}/{number:03}"
    await asyncio.to_thread((output / place).mkdir)
    original = f"{place}/original{row.file.suffix.lower()}"
    await asyncio.to_thread(shutil.copyfile, row.file, output / original)
    renditions: dict[str, str] = {}
    for variant in row.playback.variants if row.playback else ():
        suffix = PurePosixPath(variant.key).suffix
        if suffix == PLAYLIST:
            # Of use only with its segments, where it came from; the sheet tells its size.
            continue
        try:
            content = await client.download(variant.url)
        except Refused:
            # Its figure is left out of the sheet; the table has the row all the same.
            continue
        path = f"{place}/{variant.name}{suffix}"
        await asyncio.to_thread((output / path).write_bytes, content)
        renditions[variant.name] = path
    return Card(row, original, renditions)
