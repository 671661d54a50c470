"""What browsers get of npm packages: only what the lock says, whole, and with its licence."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import re
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from media_api import pages

ROOT = Path(__file__).parents[2]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("web_assets", ROOT / "scripts" / "web_assets.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


assets = _script()


def package(files: dict[str, bytes]) -> bytes:
    """A package as npm has it."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return held.getvalue()


PACKAGE = package({"dist/a.mjs": b"export default 1;", "LICENSE": b"Apache", "../evil": b"x", "other.js": b""})
PIN = assets.Pin("a", "1.0.0", "sha512-" + base64.b64encode(hashlib.sha512(PACKAGE).digest()).decode())


def wanted(folder: Path, **files: str) -> object:
    return assets.Wanted(folder / "vendor", files or {"a.mjs": "dist/a.mjs", "a.LICENSE.txt": "LICENSE"})


def test_only_the_wanted_files_are_taken_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    assert not assets.whole(PIN, wanted(tmp_path))
    assets.unpack(PACKAGE, PIN, wanted(tmp_path))
    assert assets.whole(PIN, wanted(tmp_path))
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"vendor/a.mjs", "vendor/a.LICENSE.txt", "vendor/a.json"}


def test_a_file_that_was_changed_and_a_lock_that_was_changed_are_noticed(tmp_path: Path) -> None:
    assets.unpack(PACKAGE, PIN, wanted(tmp_path))
    assert not assets.whole(assets.Pin("a", "1.0.1", "sha512-other"), wanted(tmp_path))
    (tmp_path / "vendor" / "a.mjs").write_text("changed")
    assert not assets.whole(PIN, wanted(tmp_path))


def test_a_package_with_another_integrity_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(assets.AssetsRefused, match="the lock says"):
        assets.unpack(PACKAGE + b"\0", PIN, wanted(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_package_without_a_wanted_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(assets.AssetsRefused, match="not in the package"):
        assets.unpack(PACKAGE, PIN, wanted(tmp_path, **{"b.mjs": "dist/b.mjs"}))


@pytest.mark.parametrize("line", ["a 1.0.0", "a 1.0.0 sha1-abc", "a 1.0.0 sha512-abc more"])
def test_a_lock_that_pins_less_is_refused(line: str) -> None:
    with pytest.raises(assets.AssetsRefused, match=r"web\.lock"):
        list(assets.pins(line))


def test_every_package_that_is_used_is_pinned_with_its_licence_and_no_other() -> None:
    used = {**assets.PAGE, **assets.TESTS}
    assert {pin.name for pin in assets.pins(assets.LOCK.read_text(encoding="utf-8"))} == used.keys()
    for part in used.values():
        assert any(name.endswith(".LICENSE.txt") for name in part.files)


def test_what_comes_from_packages_has_no_name_of_a_file_of_the_page() -> None:
    own = {path.name for path in pages.FOLDER.glob("*")}
    assert own.isdisjoint(name for part in assets.PAGE.values() for name in part.files)


def test_every_module_a_script_of_the_page_imports_is_there() -> None:
    there = {path.name for path in pages.FOLDER.glob("*")} | {n for part in assets.PAGE.values() for n in part.files}
    for script in pages.FOLDER.glob("*.js"):
        named = re.findall(r"""(?:from |import\(|new URL\()"\./([^"]+)\"""", script.read_text(encoding="utf-8"))
        assert [name for name in named if name not in there] == [], script.name


def test_files_are_loaded_by_name_and_the_pages_own_win(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "a.mjs").write_text("theirs")
    (tmp_path / "vendor" / "page.js").write_text("theirs")
    (tmp_path / "vendor" / "a.json").write_text("{}")
    (tmp_path / "page.js").write_text("ours")
    found = pages.load(tmp_path)
    assert {name: file.body for name, file in found.items()} == {"a.mjs": b"theirs", "page.js": b"ours"}
    assert found["a.mjs"].content_type == "text/javascript"
