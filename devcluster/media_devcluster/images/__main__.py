"""`python -m media_devcluster.images`: build the images and say what they are called and how large they are."""

from __future__ import annotations

import argparse
from pathlib import Path

from media_devcluster.images.building import build_images, build_product_images
from media_devcluster.local.binaries import build, cache_folder
from media_devcluster.processes import StartFailed


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m media_devcluster.images", description=__doc__)
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="where archives and layers are kept")
    parser.add_argument("--all", action="store_true", help="also what a local cluster needs beside the service")
    options = parser.parse_args()
    try:
        images = (
            build_images(options.cache, build(options.cache, _tell), _tell, films=True)
            if options.all
            else build_product_images(options.cache, _tell)
        )
    except StartFailed as failed:
        raise SystemExit("\n".join(filter(None, (str(failed), *failed.log, failed.advice)))) from None
    for image in images:
        took = f"built in {image.seconds:.0f} s" if image.built else "cached"
        print(f"{image.name:<32} {image.size_bytes / 1e6:6.0f} MB  {took:<14} {image.archive}")


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
