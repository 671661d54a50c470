"""How much the recipe saves: processor time and memory for a photograph, beside the obvious way of doing it.

    python tests/perf/pixels.py [--megapixels 12] [--rounds 5]

The obvious way decodes the original once for every rendition and resizes from all its pixels. Both ways run in turn,
each run in a process of its own, so that the machine's mood touches both; the table has medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from media_worker.decoder.pipeline import render
from media_worker.decoder.protocol import Limits, RenditionSize, Request

SAMPLES = Path(__file__).parents[2] / "samples"
RENDITIONS = (RenditionSize("thumbnail", 150), RenditionSize("medium", 600), RenditionSize("large", 1200))


def obvious(data: bytes) -> int:
    """Three times: decode everything, resize from everything, encode. The bytes that come out."""
    total = 0
    for rendition in RENDITIONS:
        image = Image.open(BytesIO(data)).convert("RGB")
        scale = rendition.size / max(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        file = BytesIO()
        image.resize(size, Image.Resampling.LANCZOS).save(file, "WEBP", quality=80, method=4)
        total += file.tell()
    return total


def recipe(data: bytes) -> int:
    """As the decoder does it, with everything it does beside: limits, placeholder, colours."""
    decoded = render(BytesIO(data), Request(RENDITIONS, "image/jpeg", Limits(), len(data)))
    return sum(len(variant.data) for variant in decoded.variants)


def apart(work: Callable[[], object]) -> Any:
    """What the work returns, done in a process of its own: none inherits the memory of another."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, json.dumps(work()).encode())
        os._exit(0)
    os.wait()
    os.close(write)
    with os.fdopen(read) as pipe:
        return json.load(pipe)


def measured(way: Callable[[bytes], int], path: Path) -> tuple[float, float, int]:
    """Milliseconds of processor time, megabytes of memory at the peak beyond the start, and bytes that came out."""
    data = path.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, began = peak(), time.process_time()
    out = way(data)
    return (time.process_time() - began) * 1000, peak() - before, out


def peak() -> float:
    """Most memory this process has had, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def photograph(name: str, megapixels: float, progressive: bool, path: Path) -> None:
    """A sample at that size."""
    with Image.open(SAMPLES / name) as image:
        factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        resized = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
    resized.save(path, "JPEG", quality=88, progressive=progressive)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{'photograph':28} {'way':8} {'CPU ms':>7} {'per s':>6} {'peak MB':>8} {'KB out':>7}   CPU ratio")
    for name in ("dandelion.jpg", "mountains.jpg", "sunset.jpg"):
        for progressive in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "photograph.jpg"
                apart(partial(photograph, name, options.megapixels, progressive, path))
                ways = [partial(measured, way, path) for way in (obvious, recipe)]
                runs = [[apart(way) for way in ways] for _ in range(options.rounds + 1)][1:]
            ratio = statistics.median(slow[0] / fast[0] for slow, fast in runs)
            title = f"{name}{' progressive' if progressive else ''}"
            for index, way in enumerate(("obvious", "recipe")):
                spent, grown = (statistics.median(run[index][column] for run in runs) for column in (0, 1))
                out = runs[0][index][2] / 1000
                tail = f"   {ratio:.1f} x" if way == "recipe" else ""
                print(f"{title:28} {way:8} {spent:7.0f} {1000 / spent:6.1f} {grown:8.0f} {out:7.0f}{tail}")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
