"""How many instructions each step of the pipeline takes: the same number on a busy machine as on an idle one.

    python tests/perf/instructions.py            # what they are
    python tests/perf/instructions.py --check    # and whether they are within budget.toml; 1 where not
    python tests/perf/instructions.py --toml     # the lines of budget.toml that would hold now

One photograph of three megapixels goes through the decoder's pipeline under callgrind. At every call and return of a
function of `decoder/steps` the program calls getppid(), at which callgrind closes one count and begins the next; so
each function is given what it does itself, without what it calls of the others. The same photograph's bytes and
likeness, and those of two others, are held to the budget as well.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image

from perf import budget, environment, report

SAMPLES = Path(__file__).parents[2] / "samples"
PHOTOGRAPHS = ("mountains.jpg", "dandelion.jpg", "sunset.jpg")
SIZE = (2048, 1536)
STEPS = f"decoder{os.sep}steps{os.sep}"
AROUND = "around"
"""What is done between the steps: the plan, limits, and putting the answer together."""
VALGRIND_SECONDS = 300.0
WORTH = 0.03
TOLERANCE = 0.05
"""Between processors: their libraries choose other code. On one machine it is less than a thousandth."""
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


class Marks:
    """A profile function: a mark at every call and return of a step's function, and whose count ends there."""

    def __init__(self) -> None:
        self.owners: list[str] = []
        self._stack = [AROUND]

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        if event not in ("call", "return") or STEPS not in frame.f_code.co_filename:
            return
        name = frame.f_code.co_name
        if name.startswith("<"):
            return  # a comprehension or a lambda is part of its function
        os.getppid()
        self.owners.append(self._stack[-1])
        if event == "call":
            self._stack.append(f"{Path(frame.f_code.co_filename).stem}.{name}")
        else:
            self._stack.pop()


def photograph(name: str) -> bytes:
    """A sample at that size, as JPEG."""
    with Image.open(SAMPLES / name) as image:
        picture = image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS, box=_box(image.size))
    file = BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def _box(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest part of that shape."""
    scale = min(have / want for have, want in zip(size, SIZE, strict=True))
    return 0, 0, int(SIZE[0] * scale), int(SIZE[1] * scale)


def inside(path: Path) -> None:
    """What runs under callgrind: prints whose each count is."""
    from perf.recipes import ours

    tiny = BytesIO()
    Image.new("RGB", (64, 48), "teal").save(tiny, "JPEG")
    ours(tiny.getvalue())  # what is imported or built at the first use is there
    data, marks = path.read_bytes(), Marks()
    os.getppid()
    sys.setprofile(marks)
    ours(data)
    sys.setprofile(None)
    os.getppid()
    print(json.dumps([*marks.owners, AROUND]))


def counted(data: bytes) -> dict[str, int]:
    """Instructions by function, and all of them as `whole`. Raises NotInstalled."""
    valgrind = environment.program("valgrind", "valgrind")
    with tempfile.TemporaryDirectory(prefix="media-bench-") as name:
        path, counts = Path(name, "photograph.jpg"), Path(name, "counts")
        path.write_bytes(data)
        options = ("--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={counts}")
        done = subprocess.run(
            [valgrind, *options, sys.executable, __file__, "--inside", str(path)],
            # The order of a set must not differ, nor code that a test measures be measured here.
            env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            timeout=VALGRIND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"callgrind ended with {done.returncode}: {done.stderr[-800:]}")
        owners = json.loads(done.stdout.splitlines()[-1])
        # The first count is that of all before the first mark.
        parts = [total(Path(f"{counts}.{part}")) for part in range(2, len(owners) + 2)]
    return summed(owners, parts)


def total(path: Path) -> int:
    """The sum that one of callgrind's files gives."""
    found = _TOTAL.search(path.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        raise SystemExit(f"{path.name} has no total: is this callgrind?")
    return int(found[1])


def summed(owners: Sequence[str], parts: Sequence[int]) -> dict[str, int]:
    """By owner, and `whole`, the largest first."""
    counts: Counter[str] = Counter()
    for owner, part in zip(owners, parts, strict=True):
        counts[owner] += part
    return {"whole": sum(parts), **dict(counts.most_common())}


def repeatable() -> dict[str, dict[str, float]]:
    """What is held to the budget in CI: millions of instructions, likeness lost, and bytes by the peer's."""
    from perf import pixels

    with tempfile.TemporaryDirectory(prefix="media-bench-") as name:
        paths = [Path(name, photo) for photo in PHOTOGRAPHS]
        for path in paths:
            path.write_bytes(photograph(path.name))
        counts = counted(paths[0].read_bytes())
        judged = pixels.qualities(paths, ("ours", "peer"))
    ours, peer = judged["ours"], judged["peer"]
    return {
        "instructions": {step: count / 1e6 for step, count in counts.items()},
        "samples": {"ssim_lost": peer.ssim - ours.ssim, "bytes_ratio": ours.bytes / peer.bytes},
    }


def lines(steps: Mapping[str, float]) -> list[str]:
    """As budget.toml has them: the whole, and the steps with more than a little of it."""
    kept = {step: count for step, count in steps.items() if count >= WORTH * steps["whole"]}
    ends = {step: count * (1 + 2 * TOLERANCE) for step, count in kept.items()}
    return [
        f'"{step}" = {{ measured = {count:.1f}, tolerance = {TOLERANCE}, at_most = {ends[step]:.1f} }}'
        for step, count in kept.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="hold them to the budget")
    parser.add_argument("--json", action="store_true", help="JSON")
    parser.add_argument("--toml", action="store_true", help="the lines of budget.toml that would hold now")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside)
        return 0
    try:
        found = repeatable()
    except environment.NotInstalled as missing:
        raise SystemExit(str(missing)) from None
    if options.json:
        print(json.dumps(found))
    elif options.toml:
        print("\n".join(lines(found["instructions"])))
    else:
        steps = found["instructions"]
        rows = [[step, f"{count:.1f}", f"{count / steps['whole']:.1%}"] for step, count in steps.items()]
        print(report.table((f"step, {SIZE[0]} x {SIZE[1]}", "million instructions", "share"), rows))
        print()
    if not options.check:
        return 0
    allowed = budget.bounds()
    verdicts = [each for group, values in found.items() for each in budget.judged(values, allowed[group])]
    print(report.verdicts([each.to_json() for each in verdicts]))
    return int(not all(each.ok for each in verdicts))


if __name__ == "__main__":
    raise SystemExit(main())
