"""Pixel work alone: images a second, likeness and bytes of each way to make the renditions.

    python tests/perf/pixels.py --count 24 --rounds 3 --frontier

The likeness is SSIM of the luma against a lossless LANCZOS resize of the full decode, mean over the renditions.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image

from perf import corpus, environment, report
from perf.figures import Spread
from perf.recipes import Made, makers, ours, theirs
from perf.ssim import luma, similarity

VIPS = Path(__file__).parent / "vips.py"
VIPS_SECONDS = 1800.0
FRONTIER_ROUNDS = 3
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Quality:
    """Of one way: the mean likeness, and all bytes it made."""

    ssim: float
    bytes: int


def rates(photos: Sequence[Path], rounds: int, tell: Tell) -> dict[str, list[float]]:
    """Images a second of each way in each round, one way after the other so that all see the same minutes.

    Ours in processes and the peer in threads, as each does it for real; as many as there are cores.
    """
    cores = len(os.sched_getaffinity(0))
    python = environment.python(tell)
    environment.program("vipsthumbnail", "libvips-tools")
    found: dict[str, list[float]] = {"peer": [], "ours": [], "pyvips": [], "vipsthumbnail": []}
    for turn in range(1, rounds + 1):
        for way, measured in found.items():
            tell(f"pixels, round {turn} of {rounds}: {way}")
            if way == "ours":
                with ProcessPoolExecutor(cores) as pool:
                    seconds = _timed(pool, ours, photos, cores)
            elif way == "peer":
                with ThreadPoolExecutor(cores) as pool:
                    seconds = _timed(pool, theirs, photos, cores)
            else:
                seconds = _vips(python, way, photos, cores)
            measured.append(len(photos) / seconds)
    return found


def _timed(pool: Executor, make: Callable[[bytes], Made], photos: Sequence[Path], cores: int) -> float:
    list(pool.map(partial(_bytes_made, make), photos[:cores]))  # imports and memory are there when the clock starts
    began = time.monotonic()
    sum(pool.map(partial(_bytes_made, make), photos))
    return time.monotonic() - began


def _bytes_made(make: Callable[[bytes], Made], path: Path) -> int:
    return sum(map(len, make(path.read_bytes())))


def _vips(python: Path, way: str, photos: Sequence[Path], cores: int) -> float:
    with tempfile.TemporaryDirectory(prefix="media-bench-") as name:
        listed, out = Path(name, "photos"), Path(name, "out")
        out.mkdir()
        listed.write_text("\n".join(map(str, photos)), encoding="utf-8")
        command = [str(python), str(VIPS), way, str(cores), str(listed), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=VIPS_SECONDS, check=True)
    return float(json.loads(done.stdout)["seconds"])


def qualities(photos: Sequence[Path], ways: Sequence[str], *, whole: bool = False) -> dict[str, Quality]:
    """Of each of these ways, over all photographs."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        judged = list(pool.map(partial(_judged, ways=tuple(ways), whole=whole), photos))
    return {
        way: Quality(statistics.fmean(each[way].ssim for each in judged), sum(each[way].bytes for each in judged))
        for way in ways
    }


def _judged(path: Path, ways: Sequence[str], whole: bool) -> dict[str, Quality]:
    data, known, wanted = path.read_bytes(), makers(whole=whole), References(path)
    found = {}
    for way in ways:
        made = known[way](data)
        pictures = [Image.open(BytesIO(body)) for body in made]
        scores = [similarity(luma(picture), wanted.of(picture.size)) for picture in pictures]
        found[way] = Quality(statistics.fmean(scores), sum(map(len, made)))
    return found


class References:
    """A photograph's luma at any size, as it would be without any loss but that of the size.

    At the size of the rendition it is held against: ways round the shorter side differently, by a pixel.
    """

    def __init__(self, path: Path) -> None:
        self._whole = Image.open(path).convert("RGB")
        self._planes: dict[tuple[int, int], Any] = {}

    def of(self, size: tuple[int, int]) -> Any:
        """Resized by LANCZOS from all pixels."""
        if size not in self._planes:
            self._planes[size] = luma(self._whole.resize(size, Image.Resampling.LANCZOS))
        return self._planes[size]


def frontier(photos: Sequence[Path], tell: Tell, *, whole: bool = False) -> list[dict[str, Any]]:
    """One row for each way: images a second in threads, likeness and bytes; the peer's is the measure of bytes."""
    cores = len(os.sched_getaffinity(0))
    known = makers(whole=whole)
    tell(f"the likeness of {len(known)} ways on {len(photos)} photographs")
    judged = qualities(photos, list(known), whole=whole)
    seconds: dict[str, list[float]] = {way: [] for way in known}
    for turn in range(1, FRONTIER_ROUNDS + 1):
        for index, (way, make) in enumerate(known.items(), 1):
            tell(f"frontier, round {turn} of {FRONTIER_ROUNDS}, {index} of {len(known)}: {way}")
            with ThreadPoolExecutor(cores) as pool:
                seconds[way].append(_timed(pool, make, photos, cores))
    return [
        {
            "way": way,
            "per_second": len(photos) / statistics.median(seconds[way]),
            "ssim": quality.ssim,
            "bytes": quality.bytes / judged["peer"].bytes,
        }
        for way, quality in judged.items()
    ]


def measure(photos: Sequence[Path], rounds: int, tell: Tell) -> dict[str, Any]:
    """Rates of all, and likeness and bytes of ours beside the peer's."""
    found = rates(photos, rounds, tell)
    tell(f"pixels: the likeness of {len(photos)} photographs")
    judged = qualities(photos, ("ours", "peer"))
    return {
        "photos": len(photos),
        "per_second": {way: Spread.of(values).to_json() for way, values in found.items()},
        "rounds": found,
        "quality": {way: asdict(quality) for way, quality in judged.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=24, help="photographs (%(default)s)")
    parser.add_argument("--from", dest="folder", type=Path, help="a folder of JPEG files to take instead")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the rates (%(default)s)")
    parser.add_argument("--frontier", action="store_true", help="only the table of filter, method, gap and draft")
    parser.add_argument("--whole", action="store_true", help="with every combination, not only those worth a look")
    parser.add_argument("--json", action="store_true", help="JSON instead of Markdown")
    options = parser.parse_args()

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        photos = corpus.photographs(corpus.Corpus(options.count), options.folder)
        if options.frontier:
            rows = frontier(photos, tell, whole=options.whole)
            print(json.dumps(rows) if options.json else report.frontier(rows))
        else:
            found = measure(photos, options.rounds, tell)
            print(json.dumps(found) if options.json else report.pixels(found))
    except (corpus.NoPhotographs, environment.NotInstalled) as missing:
        raise SystemExit(str(missing)) from None


if __name__ == "__main__":
    main()
