"""Checks that no source folder is itself a package.

An `__init__.py` in operator/ would make a package of that name, which shadows the standard library's `operator`
as soon as the repository's root is on `sys.path`. The other folders hold packages too and follow the same rule.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("api", "core", "devcluster", "operator", "worker_image")


def main() -> int:
    """1 where there is such a file."""
    forbidden = [folder for folder in FOLDERS if (ROOT / folder / "__init__.py").exists()]
    forbidden += [str(path.parent.relative_to(ROOT)) for path in (ROOT / "tests").rglob("__init__.py")]
    for folder in forbidden:
        print(
            f"{folder}/__init__.py must not be there: {folder}/ holds packages or tests, it is none.", file=sys.stderr
        )
    return 1 if forbidden else 0


if __name__ == "__main__":
    raise SystemExit(main())
