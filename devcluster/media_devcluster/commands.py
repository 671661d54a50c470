"""What the commands of `media-dev` do, each as a coroutine that returns the exit code.

Apart from cli.py, which says how they are called, so that either can be read without the other.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.text import Text

from media_core.asset import TranscodeStatus, VideoBackend
from media_devcluster import film, token, view
from media_devcluster import status as status_of
from media_devcluster.carrying import Carried, carry_all
from media_devcluster.client import PREFIX, Client
from media_devcluster.demo import Shown, show
from media_devcluster.folder import CLUSTER, LOGS, discard
from media_devcluster.kind import stack as kind
from media_devcluster.kind.cluster import answers
from media_devcluster.local.cluster import clean
from media_devcluster.local.layout import Layout
from media_devcluster.local.stack import LocalStack
from media_devcluster.processes import StartFailed
from media_devcluster.stack import Plan, Stack
from media_devcluster.state import ClusterKind, Part, State, stop_in_order, whole

DEFAULT_FOLDER = Path(".media-dev")
DEFAULT_USER = "dev"


async def up(plan: Plan, as_json: bool, foreground: bool) -> int:
    """Start the stack, or say where it is."""
    state = State.read(plan.folder)
    if state and state.children() and (state.dead or not state.complete):
        broken = ", ".join(state.dead) or "its start was cut off"
        advice = f"Clean up: {_hint('down', plan.folder)}"
        view.failed(StartFailed("media-dev", f"runs in part only ({broken})", advice=advice), left=True)
        return 1
    standing = state is not None and whole(state) and await answers(Path(state.kubeconfig))
    if state and (state.children() or standing):
        view.note("It runs already.")
        _say_where(state, plan.folder, as_json)
        return 0
    tell = view.Steps().tell
    stack = _stack(plan, tell)
    try:
        await stack.start()
    except StartFailed as error:
        view.failed(error, plan.folder / LOGS)
        return 1
    _say_where(stack.state, plan.folder, as_json)
    if foreground:
        view.note("Ctrl-C stops everything.")
        try:
            await _watch(stack)
        finally:
            await stack.stop()
    return 0


def _stack(plan: Plan, tell: Callable[[str], None]) -> Stack | LocalStack | kind.KindStack:
    match plan.cluster:
        case ClusterKind.LOCAL:
            return LocalStack(plan, tell)
        case ClusterKind.KIND:
            return kind.KindStack(plan, tell)
        case _:
            return Stack(plan, tell)


async def _watch(stack: Stack | LocalStack | kind.KindStack) -> NoReturn:
    """Stay; say when a part ends by itself."""
    said: set[Part] = set()
    while True:
        for part in stack.state.dead:
            if part not in said:
                said.add(part)
                view.failed(StartFailed(part, "ended", stack.children[part].tail(), "See its log."))
        await asyncio.sleep(1)


async def upload(files: tuple[Path, ...], wait: float, url: str, bearer: str, as_json: bool) -> int:
    """Upload the files; with 0 seconds to wait, do not wait."""
    async with Client(url, bearer) as client:
        with view.Bars.shown() as bars:
            rows = await carry_all(client, files, wait_seconds=wait, progress=bars)
    if as_json:
        _print_json({"assets": [row.to_json() for row in rows]})
    else:
        view.carried_table(rows)
        if any(row.asset_id for row in rows) and not wait:
            view.note(f"Follow one: curl {url}{PREFIX}/playback/{next(r.asset_id for r in rows if r.asset_id)}")
    bad = TranscodeStatus.FAILED
    return int(any(row.status is bad if wait <= 0 else not row.completed for row in rows))


async def status(folder: Path, as_json: bool) -> int:
    """Say what runs."""
    state = State.read(folder)
    if state is None:
        if as_json:
            _print_json({"running": False})
        else:
            view.note(f"Nothing runs in {folder}. Start it: media-dev up")
        return 1
    seen = await status_of.look(state)
    if as_json:
        _print_json(seen.to_json())
    else:
        status_of.show(seen, _hint("down", folder))
    gone = whole(state) and not await answers(Path(state.kubeconfig))
    return int(bool(state.dead) or gone)


async def down(folder: Path) -> int:
    """Stop what `up` started."""
    state = State.read(folder)
    if state is None:
        view.note(f"Nothing runs in {folder}.")
        return 0
    children = state.children()
    for part in await stop_in_order(children):
        view.note(f"{part} did not stop when asked and was killed.")
    if state.cluster is ClusterKind.LOCAL:
        await asyncio.to_thread(clean, Layout(folder / CLUSTER))
    if state.cluster is ClusterKind.KIND:
        try:
            await kind.remove(folder, view.note)
        except StartFailed as error:
            view.failed(error, left=True)
            return 1
        view.note("Deleted the kind cluster.")
    await asyncio.to_thread(discard, folder)
    view.note(f"Stopped {', '.join(children) or 'nothing: it had ended already'}. Logs: {folder / 'logs'}")
    if state.cluster is ClusterKind.EXISTING:
        view.note("The CRDs, the Secret, the pool and the assets in the cluster are left as they are.")
    return 0


async def demo(
    files: list[Path],
    output: Path,
    keep: bool,
    timeout: float,
    as_json: bool,
    video: VideoBackend | None = None,
) -> int:
    """Start everything, carry the files (none: a film made now), show what came out, stop everything."""
    folder = Path(tempfile.mkdtemp(prefix="media-dev-"))
    stack = Stack(Plan(folder, video=video), view.Steps().tell)
    files = files or [folder / film.NAME]
    spent = True
    try:
        await stack.start()
        if files == [folder / film.NAME]:
            await film.make(files[0])
        with view.Bars.shown() as bars:
            shown = await show(stack, files, output, timeout, bars)
        spent = not keep
    except StartFailed as error:
        spent = False
        view.failed(error, folder / LOGS)
        rows = [Carried(file, TranscodeStatus.FAILED, f"The stack did not start: {error}.") for file in files]
        shown = Shown(rows, "", output)
        keep = False
    finally:
        if spent or not stack.state.complete:
            await stack.stop()
        if spent:
            await asyncio.to_thread(shutil.rmtree, folder, True)
    if as_json:
        _print_json({"assets": [row.to_json() for row in shown.rows]})
    elif stack.state.complete:
        _say_shown(shown)
    if keep:
        view.note(f"It is left running. Stop it: {_hint('down', folder)}")
    return int(not all(row.completed for row in shown.rows))


def _say_shown(shown: Shown) -> None:
    view.out.print(Text("\n$ kubectl get mediaassets", style="dim"))
    view.out.print(Text(shown.table))
    answer = next((row.playback for row in shown.rows if row.playback and row.completed), None)
    if answer is not None:
        view.out.print(Text(f"\n$ curl …{PREFIX}/playback/{answer.asset_id}", style="dim"))
        view.answer_json(answer.to_json())
    view.out.print()
    view.carried_table(shown.rows)
    view.out.print()
    view.out.print(Text.assemble(("Contact sheet  ", "dim"), (str(shown.page), "cyan")))


def _say_where(state: State, folder: Path, as_json: bool) -> None:
    if as_json:
        _print_json(_where_json(state, folder))
        return
    rows = [
        ("Player", f"{state.api_url}/#token={token.mint(state.token_secret, DEFAULT_USER)}"),
        ("API", f"{state.api_url}{PREFIX}"),
        ("Kubernetes", f"export KUBECONFIG={state.kubeconfig}"),
        ("Namespace", state.namespace),
        ("PostgreSQL", state.database_url),
        ("S3", f"{state.s3_endpoint}  bucket {state.bucket}"),
        *([("MediaConvert", f"{state.mediaconvert_url} (a double)")] if state.mediaconvert_url else []),
        ("Logs", str(folder / LOGS)),
    ]
    steps = [
        ("Next", f"{_hint('upload', folder)} --wait photo.jpg"),
        ("", f"kubectl -n {state.namespace} get mediaassets --watch"),
        ("Stop", _hint("down", folder)),
    ]
    view.err.print()
    view.pairs(f"The stack is up ({state.cluster.value} cluster)", rows, steps)


def _where_json(state: State, folder: Path) -> dict[str, Any]:
    return {
        "cluster": state.cluster.value,
        "api_url": state.api_url,
        "operator_url": state.operator_url,
        "kubeconfig": state.kubeconfig,
        "namespace": state.namespace,
        "database_url": state.database_url,
        "s3_endpoint": state.s3_endpoint,
        "bucket": state.bucket,
        "mediaconvert_endpoint": state.mediaconvert_url or None,
        "token": token.mint(state.token_secret, DEFAULT_USER),
        "data_dir": str(folder.resolve()),
        "pids": {part.value: running.pid for part, running in state.parts.items()},
    }


def _hint(command: str, folder: Path) -> str:
    return f"media-dev {command}" + ("" if folder == DEFAULT_FOLDER else f" --data-dir {folder}")


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value))
