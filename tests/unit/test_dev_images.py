"""What goes into the images of a local cluster, what makes one be built anew, and what a build is told."""

from __future__ import annotations

import fcntl
import re
import threading
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from media_devcluster import checkout
from media_devcluster.images.building import Kitchen, lay_out
from media_devcluster.images.engines import arguments, run
from media_devcluster.images.origins import Origins, apt_conf, debian_mirror, pip_conf, pip_options
from media_devcluster.images.recipes import Made, Recipe, beside, debian, product
from media_devcluster.processes import StartFailed

DOCKERFILES = ("Dockerfile.api", "Dockerfile.worker")
NOWHERE = Origins(secrets={"pip.conf": "[global]\n"}, folders=(), mirror="http://mirror.test", environment={})


class Pretended:
    """An engine that makes an archive of the names in a context, and counts what it was asked for."""

    bases: Mapping[str, Recipe | str] = {}

    def __init__(self, *, failing: str = "") -> None:
        self.built: list[str] = []
        self.contexts: dict[str, list[str]] = {}
        self._failing = failing

    def clear(self) -> None:
        pass

    def has(self, recipe: Recipe) -> bool:
        return recipe.name in self.built

    def build(self, recipe: Recipe, context: Path, secrets: Path, origins: Origins, log: Path) -> None:
        self.built.append(recipe.name)
        self.contexts[recipe.name] = sorted(str(path.relative_to(context)) for path in files(context))

    def save(self, recipe: Recipe, archive: Path, log: Path) -> None:
        archive.write_text("half")
        if recipe.name == self._failing:
            raise StartFailed(recipe.name, "cannot be built: the disk is full")
        archive.write_text("whole")


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def kitchen(folder: Path, engine: Pretended, said: list[str] | None = None) -> Kitchen:
    return Kitchen(folder, engine, (said if said is not None else []).append, NOWHERE)


@pytest.fixture
def simple(tmp_path: Path) -> Recipe:
    source = tmp_path / "source"
    (source / "package").mkdir(parents=True)
    (source / "Dockerfile").write_text("FROM scratch\n")
    (source / "package" / "code.py").write_text("answer = 42\n")
    return Recipe("simple", source / "Dockerfile", {"package": source / "package"})


def test_an_image_is_built_once_and_then_taken_from_the_cache(tmp_path: Path, simple: Recipe) -> None:
    engine = Pretended()
    [first] = kitchen(tmp_path / "cache", engine).serve([simple])
    [second] = kitchen(tmp_path / "cache", engine).serve([simple])
    assert (first.built, second.built, second.seconds) == (True, False, 0.0)
    assert engine.built == ["simple"]
    assert second.archive.read_text() == "whole"
    assert second.size_bytes == 5


def test_a_changed_file_builds_the_image_anew_and_compiled_python_does_not(tmp_path: Path, simple: Recipe) -> None:
    engine = Pretended()
    package = simple.dockerfile.parent / "package"
    kitchen(tmp_path / "cache", engine).serve([simple])
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "code.cpython-311.pyc").write_bytes(b"compiled")
    assert not kitchen(tmp_path / "cache", engine).serve([simple])[0].built
    (package / "code.py").write_text("answer = 43\n")
    assert kitchen(tmp_path / "cache", engine).serve([simple])[0].built
    assert engine.contexts["simple"] == ["Dockerfile", "package/code.py"]


def test_a_renamed_file_and_a_file_made_executable_are_changes(simple: Recipe) -> None:
    code = simple.dockerfile.parent / "package" / "code.py"
    keys = [simple.key]
    code.chmod(0o755)
    keys.append(simple.key)
    code.rename(code.with_name("other.py"))
    keys.append(simple.key)
    assert len(set(keys)) == 3


def test_a_changed_base_builds_what_stands_on_it_anew(tmp_path: Path, simple: Recipe) -> None:
    base = tmp_path / "Dockerfile"
    base.write_text("FROM scratch\n")
    upper = Recipe("upper", simple.dockerfile, bases={"BASE_IMAGE": Recipe("base", base, shipped=False)})
    before = upper.key
    base.write_text("FROM scratch\nENV LANG=C.UTF-8\n")
    assert upper.key != before


def test_a_base_is_built_for_two_images_once(tmp_path: Path, simple: Recipe) -> None:
    base = Recipe("base", simple.dockerfile, shipped=False)
    above = [Recipe(name, simple.dockerfile, bases={"BASE_IMAGE": base}) for name in ("one", "two")]
    engine = Pretended()
    kitchen(tmp_path / "cache", engine).serve(above)
    assert engine.built == ["base", "one", "two"]


def test_a_build_that_fails_leaves_nothing_that_looks_finished(tmp_path: Path, simple: Recipe) -> None:
    with pytest.raises(StartFailed, match="disk is full"):
        kitchen(tmp_path / "cache", Pretended(failing="simple")).serve([simple])
    assert [path.name for path in files(tmp_path / "cache")] == ["lock"]


def test_what_a_killed_build_left_is_cleared_away_by_the_next(tmp_path: Path, simple: Recipe) -> None:
    cache = tmp_path / "cache"
    (cache / "new-killed" / "secrets").mkdir(parents=True)
    (cache / "new-killed" / "secrets" / "pip.conf").write_text("[global]\n")
    (cache / "made").mkdir()
    (cache / "made" / "root.tar-0123.99.new").write_text("half")
    kitchen(cache, Pretended()).serve([simple])
    assert sorted(path.name for path in files(cache)) == sorted(["lock", f"simple-{simple.key}.tar"])


def test_a_second_build_waits_for_the_first_and_says_so(tmp_path: Path, simple: Recipe) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    said: list[str] = []
    waiting = threading.Event()

    def tell(line: str) -> None:
        said.append(line)
        waiting.set()

    engine = Pretended()
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(target=Kitchen(cache, engine, tell, NOWHERE).serve, args=([simple],))
        second.start()
        assert waiting.wait(10)
        assert engine.built == []
    second.join(10)
    assert engine.built == ["simple"]
    assert said[0] == "waiting for another process that builds images …"


def test_of_one_image_the_two_newest_archives_are_kept(tmp_path: Path, simple: Recipe) -> None:
    code = simple.dockerfile.parent / "package" / "code.py"
    archives = []
    for answer in range(4):
        code.write_text(f"answer = {answer}\n")
        archives += [image.archive for image in kitchen(tmp_path / "cache", Pretended()).serve([simple])]
    assert [archive.exists() for archive in archives] == [False, False, True, True]


def test_a_file_a_command_makes_is_made_once(tmp_path: Path, simple: Recipe) -> None:
    source = tmp_path / "text"
    source.write_text("hello")
    made = Made("copy", ("cp", str(source), "{output}"), (source,), 1, "", folder=tmp_path)
    recipe = Recipe("made", simple.dockerfile, {"copy": made})
    engine = Pretended()
    kitchen(tmp_path / "cache", engine).serve([recipe])
    assert engine.contexts["made"] == ["Dockerfile", "copy"]
    before = recipe.key
    source.write_text("changed")
    assert recipe.key != before


def test_a_command_that_fails_is_told_with_the_last_lines_of_its_log(tmp_path: Path) -> None:
    argv = ("sh", "-c", "echo no such mirror >&2; exit 3")
    with pytest.raises(StartFailed) as failed:
        run("root.tar", argv, tmp_path / "log", 10, advice="Is there a network?")
    assert str(failed.value) == "root.tar cannot be built: it ended with code 3"
    assert failed.value.log == ("no such mirror",)
    assert failed.value.advice == "Is there a network?"


def test_a_command_that_hangs_is_ended_at_its_deadline(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="was not built within 0 s"):
        run("base", ("sleep", "60"), tmp_path / "log", 0.2)


def test_a_missing_program_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StartFailed) as failed:
        run("root.tar", ("no-such-program-here",), tmp_path / "log", 10, advice="apt-get install debootstrap")
    assert str(failed.value) == "root.tar cannot be built: no-such-program-here is missing"
    assert failed.value.advice == "apt-get install debootstrap"


def test_a_build_is_told_secrets_by_file_and_bases_by_argument(tmp_path: Path) -> None:
    api, _ = product({"BASE_IMAGE": "docker.io/library/python:3.13-slim"})
    told = arguments(api, tmp_path / "context", tmp_path / "secrets", NOWHERE)
    assert told == (
        *("--build-arg", "BASE_IMAGE=docker.io/library/python:3.13-slim"),
        *("--secret", f"id=pip.conf,src={tmp_path}/secrets/pip.conf"),
        *("--target", "api", "--file", f"{tmp_path}/context/Dockerfile"),
        *("--tag", "docker.io/local/media-api:dev", f"{tmp_path}/context"),
    )


def test_the_images_of_a_local_cluster_have_the_names_its_chart_values_use(tmp_path: Path) -> None:
    program = tmp_path / "versitygw"
    program.write_bytes(b"\x7fELF")
    bases = debian()
    names = {recipe.reference for recipe in (*product(bases), *beside(bases, {"versitygw": program}))}
    assert names == {
        "docker.io/local/pause:1",
        *(f"docker.io/local/{name}:dev" for name in ("media-api", "media-worker", "postgres", "versitygw")),
    }


@pytest.mark.parametrize("at", [0, 1], ids=["api", "worker"])
def test_a_context_holds_all_that_its_dockerfile_copies_and_no_developer_tools(tmp_path: Path, at: int) -> None:
    recipe = product({})[at]
    lay_out(tmp_path, {place: path for place, path in recipe.files.items() if isinstance(path, Path)})
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", recipe.dockerfile.read_text(), re.MULTILINE)
    assert copied
    for source in " ".join(copied).split():
        assert (tmp_path / source).exists(), source
    assert not [path for path in files(tmp_path) if "media_devcluster" in path.parts or path.name == "dev.lock"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_has_the_version_of_the_project_and_the_licence(name: str) -> None:
    project = tomllib.loads((checkout.ROOT / "pyproject.toml").read_text())["project"]
    text = (checkout.ROOT / name).read_text()
    assert f"ARG VERSION={project['version']}\n" in text
    assert 'org.opencontainers.image.licenses="Apache-2.0"' in text


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_wheel_in_an_image_names_no_program_of_a_package_that_is_not_copied(name: str) -> None:
    text = (checkout.ROOT / name).read_text()
    project = tomllib.loads((checkout.ROOT / "pyproject.toml").read_text())["project"]
    [dropped] = re.findall(r"sed -i -E '/\^\[a-z-\]\+ = \"\(([a-z_|]+)\)", text)
    parts = {"media_core": "core", "media_operator": "operator", "media_api": "api", "media_worker": "worker_image"}
    copied = {package for package, folder in parts.items() if f"COPY {folder} {folder}\n" in text}
    for program, place in project["scripts"].items():
        package = place.partition(".")[0]
        assert (package in copied) != (package in dropped.split("|")), program


def test_pip_is_told_what_the_environment_says_over_what_a_file_says() -> None:
    listed = ":env:.index-url='https://env.test/simple'\nglobal.index-url='https://file.test'\nglobal.timeout='60'\n"
    assert pip_options(listed) == {"index-url": "https://env.test/simple", "timeout": "60"}


def test_a_build_gets_its_pip_settings_and_not_the_machines_path_of_the_certificates() -> None:
    options = {"index-url": "https://env.test/simple", "find-links": "/a\n/b", "cert": "/etc/own.pem", "user": "true"}
    assert pip_conf(options, trusting=True).splitlines() == [
        "[global]",
        "index-url = https://env.test/simple",
        "find-links = /a /b",
        "cert = /run/secrets/ca.pem",
    ]
    assert pip_conf({}, trusting=False) == "[global]\n"


def test_a_build_gets_the_proxies_of_apt_and_nothing_else_of_it() -> None:
    dumped = 'APT::Architecture "amd64";\nAcquire::http::Proxy "http://proxy.test:3128";\nAcquire::Languages "en";\n'
    assert apt_conf(dumped, trusting=False) == 'Acquire::http::Proxy "http://proxy.test:3128";\n'
    assert apt_conf("", trusting=True) == 'Acquire::https::CAInfo "/run/secrets/ca.pem";\n'


def test_debian_comes_from_the_mirror_of_this_machine_or_else_from_the_public_one() -> None:
    assert debian_mirror("Other http://o.test/x\nDebian http://mirror.test/debian/\n") == "http://mirror.test/debian"
    assert debian_mirror("") == "http://deb.debian.org/debian"
