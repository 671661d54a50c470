"""The renditions by libvips: `pyvips` in threads, or the command `vipsthumbnail`. Runs where pyvips is installed.

Arguments: pyvips|vipsthumbnail, a number of threads, a file with one path a line, a folder for what is made. Prints
seconds and bytes as JSON. Each size is made from the file anew, as its documentation advises: the decoder shrinks
while it loads. One thread per image: at the whole machine's rate that is the fastest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["VIPS_CONCURRENCY"] = "1"

SIZES = (("thumbnail", 150), ("medium", 600), ("large", 1200))


def by_library(path: Path, out: Path) -> int:
    """Bytes made of one photograph."""
    import pyvips

    data, total = path.read_bytes(), 0
    for name, size in SIZES:
        picture = pyvips.Image.thumbnail_buffer(data, size, height=size, size="down")
        made = picture.webpsave_buffer(Q=80, effort=4, keep="none")
        (out / f"{path.stem}-{name}.webp").write_bytes(made)
        total += len(made)
    return total


def by_command(path: Path, out: Path) -> int:
    """Bytes made of one photograph, by one command for each size."""
    total = 0
    for name, size in SIZES:
        made = out / f"{path.stem}-{name}.webp"
        subprocess.run(["vipsthumbnail", str(path), "-s", f"{size}x{size}>", "-o", f"{made}[Q=80,strip]"], check=True)
        total += made.stat().st_size
    return total


WAYS: dict[str, Callable[[Path, Path], int]] = {"pyvips": by_library, "vipsthumbnail": by_command}


def main() -> None:
    way, threads, listed, out = WAYS[sys.argv[1]], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    paths = [Path(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    way(paths[0], out)
    with ThreadPoolExecutor(threads) as pool:
        began = time.monotonic()
        total = sum(pool.map(lambda path: way(path, out), paths))
        print(json.dumps({"seconds": time.monotonic() - began, "bytes": total}))


if __name__ == "__main__":
    main()
