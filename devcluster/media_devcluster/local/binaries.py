"""The programs of a cluster, built from Go modules and kept outside the checkout, keyed by what they are built from.

Each module under `modules/` pins one upstream project by go.mod and go.sum. A build goes to a folder of its own and
takes its final name in one step, so a build that was killed leaves nothing that looks finished.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from media_devcluster.processes import StartFailed

MODULES = Path(__file__).parent / "modules"
BUILD_SECONDS = 3600.0
KUBERNETES = "v1.37.2"
_STAMP = {"gitVersion": KUBERNETES, "gitMajor": "1", "gitMinor": "37"}


@dataclass(frozen=True)
class Module:
    """One Go module, the packages that are built of it, and about how long that takes on two cores."""

    name: str
    packages: tuple[str, ...]
    seconds: int
    flags: str = ""

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of what comes out, as `go build` gives them."""
        return tuple(_program(package) for package in self.packages)


KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
TABLE = (
    Module("etcd", ("go.etcd.io/etcd/server/v3",), 40),
    Module(
        "kubernetes",
        tuple(f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_PROGRAMS),
        480,
        " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in _STAMP.items()),
    ),
    Module("versitygw", ("github.com/versity/versitygw/cmd/versitygw",), 80),
    Module("coredns", ("github.com/coredns/coredns",), 150),
    Module("helm", ("helm.sh/helm/v4/cmd/helm",), 130),
)
"""What a local node and its chart need."""
KIND = Module("kind", ("sigs.k8s.io/kind",), 60)
GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}


def cache_folder() -> Path:
    """Where programs and images are kept: outside the checkout, as the XDG base directory specification says."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "media-dev"


def build(cache: Path, tell: Callable[[str], None], modules: Iterable[Module] = TABLE) -> Mapping[str, Path]:
    """Every program by name; what is not in the cache yet is built, one module after the other. Raises StartFailed."""
    found: dict[str, Path] = {}
    for module in modules:
        folder = cache / "bin" / f"{module.name}-{_key(module)}"
        if not folder.exists():
            tell(f"building {', '.join(module.programs)} (about {_minutes(module.seconds)} on two cores) …")
            started = time.monotonic()
            _build(module, folder)
            tell(f"built {module.name} in {time.monotonic() - started:.0f} s")
        found |= {name: folder / name for name in module.programs}
    return found


def _build(module: Module, folder: Path) -> None:
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    output = str(unfinished) if len(module.packages) > 1 else str(unfinished / module.programs[0])
    ldflags = f"-s -w {module.flags}".strip()
    argv = ["go", "build", "-trimpath", "-ldflags", ldflags, "-o", output, *module.packages]
    try:
        done = subprocess.run(
            argv,
            cwd=MODULES / module.name,
            env={**os.environ, **GO_ENVIRONMENT},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StartFailed(module.name, f"was not built within {_minutes(int(BUILD_SECONDS))}") from None
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        lines = tuple(done.stderr.splitlines()[-12:])
        raise StartFailed(module.name, "cannot be built", lines, "Does `go env GOPROXY` name a proxy that answers?")
    try:
        unfinished.rename(folder)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not folder.exists():  # else somebody else built the same meanwhile, and was first
            raise


def _key(module: Module) -> str:
    """Of everything that decides what is built."""
    text = hashlib.sha256("\0".join((_go(), *module.packages, module.flags)).encode())
    for name in ("go.mod", "go.sum"):
        text.update((MODULES / module.name / name).read_bytes())
    return text.hexdigest()[:12]


def _go() -> str:
    if shutil.which("go") is None:
        raise StartFailed("go", "is not installed", advice="A local cluster is built from source: https://go.dev/dl")
    return subprocess.run(["go", "version"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()


def _program(package: str) -> str:
    name = package.rsplit("/", 1)[1]
    return "etcd" if name == "v3" else name


def _minutes(seconds: int) -> str:
    return f"{seconds} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def main() -> None:
    """Entry point of `python -m media_devcluster.local.binaries`: build what is not built, and say where it is."""
    try:
        found = build(cache_folder(), lambda line: print(line, flush=True))
    except StartFailed as failed:
        raise SystemExit("\n".join((str(failed), *failed.log, failed.advice))) from None
    for name, path in sorted(found.items()):
        print(f"{name:<24} {path.stat().st_size / 1e6:6.0f} MB  {path}")


if __name__ == "__main__":
    main()
