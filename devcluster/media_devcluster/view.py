"""What the commands show people: on the terminal, short, aligned, and with a next step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from media_core.asset import TranscodeStatus
from media_devcluster.carrying import Carried
from media_devcluster.processes import StartFailed
from media_devcluster.sizes import bytes_text, seconds_text

COLOURS: Mapping[str, str] = {
    TranscodeStatus.COMPLETED: "green",
    TranscodeStatus.FAILED: "red",
    TranscodeStatus.PROCESSING: "cyan",
    TranscodeStatus.PENDING: "yellow",
}
LINE = 500
err = Console(stderr=True, highlight=False)
out = Console(highlight=False, soft_wrap=True)


class Steps:
    """Lines that say what has come up, each with the time since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def tell(self, line: str) -> None:
        """One more thing is there."""
        took = seconds_text(time.monotonic() - self._began)
        err.print(Text.assemble(("  ✓ ", "green"), f"{line:<28}", (took.rjust(8), "dim")))


def note(line: str) -> None:
    """A remark beside the result."""
    err.print(Text(line, style="dim"))


def failed(error: StartFailed, log: Path | None = None, *, left: bool = False) -> None:
    """Which part, its last lines, and what to do."""
    err.print(Text.assemble(("  ✗ ", "red"), (str(error), "bold")))
    if error.log:
        err.print(Text(f"    its last lines{f' ({log})' if log else ''}:", style="dim"))
        for line in error.log:
            err.print(Text(f"      {line[:LINE]}{'…' if len(line) > LINE else ''}", style="dim"), soft_wrap=True)
    if error.advice:
        err.print(Text(f"    {error.advice}"))
    if not left:
        err.print(Text("    Nothing was left running.", style="dim"))


def pairs(title: str, rows: Iterable[tuple[str, str]], next_steps: Sequence[tuple[str, str]] = ()) -> None:
    """A title, aligned names and values, and what can be done next."""
    rows = list(rows)
    width = max((len(name) for name, _ in [*rows, *next_steps]), default=0)
    out.print(Text(title, style="bold"))
    for name, value in rows:
        out.print(Text.assemble(("  " + name.ljust(width + 2), "dim"), value))
    if next_steps:
        out.print()
        for name, command in next_steps:
            out.print(Text.assemble(("  " + name.ljust(width + 2), "dim"), (command, "cyan")))


def carried_table(rows: Sequence[Carried]) -> None:
    """A line for each file: what became of it, and what was made."""
    names = list(dict.fromkeys(v.name for row in rows if row.playback for v in row.playback.variants))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("FILE", overflow="ellipsis", no_wrap=True)
    table.add_column("STATUS", no_wrap=True, min_width=len(TranscodeStatus.PROCESSING))
    for heading in ("TIME", "ORIGINAL", *(name.upper() for name in names)):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        made = {v.name: v.bytes for v in row.playback.variants} if row.playback else {}
        table.add_row(
            Text(row.file.name),
            Text(row.status.value, style=COLOURS[row.status]),
            seconds_text(row.seconds) if row.seconds is not None else "",
            bytes_text(row.media.size_bytes) if row.media else "",
            *(bytes_text(made[name]) if name in made else "" for name in names),
        )
    out.print(table)
    for row in rows:
        if not row.completed and row.message:
            out.print(Text.assemble((f"{row.file.name}: ", "bold"), row.message))


def answer_json(answer: Mapping[str, object]) -> None:
    """An answer of the API, a line for each member and for each item of a list."""
    lines = []
    for name, value in answer.items():
        text = json.dumps(value)
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
        lines.append(f"  {json.dumps(name)}: {text}")
    out.print(Text("{\n" + ",\n".join(lines) + "\n}"))


class Bars:
    """Upload and processing of each file, live on stderr where that is a terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[Path, TaskID] = {}
        self._said: dict[Path, str] = {}

    @classmethod
    @contextmanager
    def shown(cls) -> Iterator[Bars]:
        """The bars, until the end of the block."""
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            DownloadColumn(),
            TextColumn("{task.fields[state]}"),
        )
        with Progress(*columns, console=err, transient=not err.is_terminal, disable=not err.is_terminal) as progress:
            yield cls(progress)

    def sent(self, file: Path, done: int, total: int) -> None:
        """So many bytes are in object storage."""
        self._progress.update(self._task(file), completed=done, total=total)

    def now(self, file: Path, state: str) -> None:
        """It has come to this state."""
        colour = COLOURS.get(state.upper(), "red" if state in ("refused", "lost") else "dim")
        self._progress.update(self._task(file), state=f"[{colour}]{state}[/]")

    def said(self, file: Path, sentence: str) -> None:
        """A line each time something new is said of a film: there is time to read it, and logs can hold it."""
        if self._said.get(file) != sentence:
            self._said[file] = sentence
            self._progress.console.print(Text.assemble(f"  {file.name}  ", (sentence, "dim")))

    def _task(self, file: Path) -> TaskID:
        if file not in self._tasks:
            name = file.name if len(file.name) <= 32 else f"{file.name[:31]}…"
            self._tasks[file] = self._progress.add_task(name.replace("[", r"\["), total=None, state="")
        return self._tasks[file]
