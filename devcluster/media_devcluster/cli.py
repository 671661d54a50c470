"""`media-dev`: a whole media service on this machine, for trying it out and for working on it.

Results go to stdout, progress and errors to stderr, so that `--json` is one object and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

import click

from media_core.asset import VideoBackend
from media_devcluster import checkout, commands, token, view
from media_devcluster.carrying import WAIT_SECONDS
from media_devcluster.commands import DEFAULT_FOLDER, DEFAULT_USER
from media_devcluster.folder import LOGS
from media_devcluster.objectstore import REGION, S3
from media_devcluster.processes import tail
from media_devcluster.running import run
from media_devcluster.stack import BUCKET, Plan
from media_devcluster.state import ClusterKind, Part, State

data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="Where state.json, data and logs are.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout; everything else on stderr.")
files = click.argument("files", nargs=-1, type=click.Path(path_type=Path))
wait_seconds = click.option(
    "--timeout",
    default=WAIT_SECONDS,
    show_default=True,
    help="Seconds to wait for each file.",
    type=click.FloatRange(1),
)
video = click.option(
    "--video",
    type=click.Choice([backend.value for backend in VideoBackend]),
    help="Transcode videos too: mediaconvert (the default when only --video is said) by a double of AWS Elemental "
    "MediaConvert on this machine, ffmpeg by workers of the cluster. Both need ffmpeg here.",
)


class WithVideo(click.Command):
    """A command whose --video may stand without a backend, also before a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the backend that is meant put in."""
        return super().parse_args(ctx, _with_backend(args))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="media-operator")
def main() -> None:
    """A whole media service on this machine: PostgreSQL, S3, a Kubernetes API, the operator and the REST API.

    \b
    Try it:        media-dev demo
    Work with it:  media-dev up, then upload, status, logs, down

    \b
    Completion:    eval "$(_MEDIA_DEV_COMPLETE=bash_source media-dev)"
                   (zsh_source for zsh, fish_source for fish)
    """


@main.command(cls=WithVideo)
@click.option(
    "--cluster",
    type=click.Choice([kind.value for kind in ClusterKind]),
    default=ClusterKind.EMBEDDED.value,
    show_default=True,
    help="embedded: a small Kubernetes API is started too, and worker Jobs are processes. "
    "local: a real one-node Kubernetes on this machine, with the chart on it (Linux, root, Go). "
    "kind: the same in a container of Docker. existing: the cluster that --kubeconfig and --context name.",
)
@click.option("--kubeconfig", type=click.Path(dir_okay=False, path_type=Path), help="existing: its kubeconfig.")
@click.option("--context", help="existing: context in it.")
@click.option("--namespace", default="media", show_default=True, help="Namespace of the assets.")
@click.option("--database-url", help="existing: PostgreSQL of the ledger.")
@click.option("--s3-endpoint", help="existing: S3, by a URL that this machine and the worker pods both reach.")
@click.option("--bucket", default=BUCKET, show_default=True, help="existing: a bucket that is there.")
@click.option("--worker-image", help="existing: image of the worker Jobs.")
@click.option("--video-worker-image", help="existing: image of the worker Jobs that transcode, with --video ffmpeg.")
@video
@click.option("--api-port", type=click.IntRange(1, 65535), help="Port of the REST API (default: a free one).")
@click.option("--bare", is_flag=True, help="local, kind: only the cluster with the images on it.")
@click.option("--foreground", is_flag=True, help="Stay, and stop everything at Ctrl-C.")
@data_dir
@as_json
def up(
    cluster: str,
    kubeconfig: Path | None,
    context: str | None,
    namespace: str,
    database_url: str | None,
    s3_endpoint: str | None,
    bucket: str,
    worker_image: str | None,
    video_worker_image: str | None,
    video: str | None,
    api_port: int | None,
    bare: bool,
    foreground: bool,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Start the stack and leave it running. Where it runs already, say where it is.

    With --cluster local, Kubernetes is built from source the first time (a quarter of an hour on two cores) and kept
    in ~/.cache/media-dev; the node lives in namespaces of its own and leaves nothing behind.

    With --cluster kind, the node is a container of Docker, of the image MEDIA_DEV_NODE_IMAGE (default: the pinned
    one), reached at ports 30805, 30900 and 30432 of this machine. No kubeconfig of yours is written to.

    With --cluster existing, the CRDs, a Secret with the S3 keys (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of your
    environment), the workers' account and a pool are applied to that cluster; operator and API run on this machine
    against it; migrations are applied to the database. No kubeconfig is used that was not named.

    \b
    media-dev up
    media-dev up --json | jq -r .api_url
    media-dev up --video ffmpeg
    media-dev up --cluster local
    media-dev up --cluster existing --kubeconfig ~/.kube/staging --context staging \\
      --database-url postgresql://media@db/media --s3-endpoint https://s3.example.org \\
      --bucket media --worker-image registry.example.org/media-worker:1.0
    """
    if cluster == ClusterKind.EXISTING:
        store = _existing_store(kubeconfig, context, database_url, s3_endpoint, bucket)
    else:
        _refuse_unused(kubeconfig, context, database_url, s3_endpoint, worker_image, video_worker_image)
        store = None
    installed = cluster in (ClusterKind.LOCAL, ClusterKind.KIND)
    if bare and not installed:
        raise click.UsageError("--bare: only with --cluster local or kind.")
    if video and installed and (cluster != ClusterKind.LOCAL or video != VideoBackend.FFMPEG):
        raise click.UsageError(f"--video {video}: not with --cluster {cluster}. --cluster local takes --video ffmpeg.")
    if api_port and installed:
        raise click.UsageError(f"--api-port: not with --cluster {cluster}, where the API has a port of the node.")
    plan = Plan(
        folder=data_dir,
        cluster=ClusterKind(cluster),
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        database_url=database_url,
        store=store,
        bucket=bucket,
        worker_image=worker_image,
        video=VideoBackend(video) if video else None,
        video_worker_image=video_worker_image,
        api_port=api_port,
        bare=bare,
    )
    _exit(commands.up(plan, as_json, foreground))


@main.command()
@files
@click.option("--wait/--no-wait", default=False, help="Wait until each file is completed or failed.")
@wait_seconds
@click.option("--user", default=DEFAULT_USER, show_default=True, help="Whose files they are (with the local stack).")
@data_dir
@as_json
def upload(files: tuple[Path, ...], wait: bool, timeout: float, user: str, data_dir: Path, as_json: bool) -> None:
    """Upload files to the running stack, or to MEDIA_API_URL with MEDIA_TOKEN where those are set.

    Exit code 0 when every file was accepted (with --wait: completed), 1 when any was not.

    \b
    media-dev upload --wait photo.jpg film.mp4
    MEDIA_API_URL=https://media.example.org MEDIA_TOKEN=... media-dev upload photo.jpg
    """
    if not files:
        raise click.UsageError("Which files? For example: media-dev upload --wait photo.jpg")
    _exit(commands.upload(files, timeout if wait else 0.0, *_where(data_dir, user), as_json))


@main.command(name="status")
@data_dir
@as_json
def status_(data_dir: Path, as_json: bool) -> None:
    """What runs, what the pool does, and how many assets are in which state.

    Exit code 0 when every part runs, 1 when not.

    \b
    media-dev status
    media-dev status --json | jq .assets
    """
    _exit(commands.status(data_dir, as_json))


@main.command()
@data_dir
def down(data_dir: Path) -> None:
    """Stop everything that `up` started. The data are removed, the logs stay.

    \b
    media-dev down
    """
    _exit(commands.down(data_dir))


@main.command(cls=WithVideo)
@files
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Where the contact sheet and the renditions are written.",
)
@click.option("--keep", is_flag=True, help="Leave the stack running afterwards.")
@video
@wait_seconds
@as_json
def demo(files: tuple[Path, ...], output: Path, keep: bool, video: str | None, timeout: float, as_json: bool) -> None:
    """Start everything, carry FILES through it, show what came out, stop everything.

    Without FILES it takes the samples; with --video a film of 20 seconds, with sound, that is made on the spot.

    Exit code 0 when every file was completed, 1 when any was refused, failed or not settled in time. One bad file
    does not stop the others. With --json, stdout is {"assets": [...]}, a row for each file, in every case.

    \b
    media-dev demo
    media-dev demo ~/Pictures/*.jpg
    media-dev demo --json photo.jpg | jq '.assets[].seconds'
    media-dev demo --video
    media-dev demo --video ffmpeg film.mp4
    """
    chosen = list(files) or ([] if video else checkout.samples())
    if not chosen and not video:
        raise click.UsageError("Which files? There are no samples here. For example: media-dev demo photo.jpg")
    backend = VideoBackend(video) if video else None
    _exit(commands.demo(chosen, output, keep, timeout, as_json, backend))


@main.command()
@click.argument("part", required=False, type=click.Choice([part.value for part in Part]))
@click.option("-n", "--lines", default=20, show_default=True, help="How many of the last lines.")
@data_dir
def logs(part: str | None, lines: int, data_dir: Path) -> None:
    """The last lines of a part's log; without PART, of every part's. They stay after `down`.

    \b
    media-dev logs operator
    media-dev logs -n 100 api | jq .
    """
    found = [part] if part else [each.value for each in Part]
    for name in found:
        path = data_dir / LOGS / f"{name}.log"
        if part is None and path.exists():
            view.note(f"== {path}")
        for line in tail(path, lines):
            click.echo(line)


@main.command(name="token")
@click.argument("user", default=DEFAULT_USER)
@data_dir
def token_(user: str, data_dir: Path) -> None:
    """A token of USER (default: dev) for the running stack.

    \b
    curl -H "Authorization: Bearer $(media-dev token)" .../api/v1/media/assets
    """
    click.echo(token.mint(_running(data_dir).token_secret, user))


def _existing_store(
    kubeconfig: Path | None, context: str | None, database_url: str | None, endpoint: str | None, bucket: str
) -> S3:
    given = {
        "--kubeconfig": kubeconfig,
        "--context": context,
        "--database-url": database_url,
        "--s3-endpoint": endpoint,
    }
    if missing := [name for name, value in given.items() if not value]:
        raise click.UsageError(f"--cluster existing needs {' and '.join(missing)}.")
    keys = {name: os.environ.get(name, "") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    if missing := [name for name, value in keys.items() if not value]:
        raise click.UsageError(f"--cluster existing needs {' and '.join(missing)} in the environment.")
    region = os.environ.get("AWS_REGION", REGION)
    return S3(str(endpoint), bucket, keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], region)


def _with_backend(arguments: list[str]) -> list[str]:
    """The arguments, with a --video that names no backend meaning the double."""
    backends = {backend.value for backend in VideoBackend}
    bare = [
        at for at, word in enumerate(arguments) if word == "--video" and not backends & set(arguments[at + 1 : at + 2])
    ]
    return [f"--video={VideoBackend.MEDIACONVERT}" if at in bare else word for at, word in enumerate(arguments)]


def _refuse_unused(
    kubeconfig: Path | None,
    context: str | None,
    database_url: str | None,
    endpoint: str | None,
    image: str | None,
    video_image: str | None,
) -> None:
    given = {
        "--kubeconfig": kubeconfig,
        "--context": context,
        "--database-url": database_url,
        "--s3-endpoint": endpoint,
        "--worker-image": image,
        "--video-worker-image": video_image,
    }
    if unused := [name for name, value in given.items() if value]:
        raise click.UsageError(f"{' and '.join(unused)}: only with --cluster existing.")


def _where(folder: Path, user: str) -> tuple[str, str]:
    """URL and token: the environment's, else the running stack's."""
    url, bearer = os.environ.get("MEDIA_API_URL"), os.environ.get("MEDIA_TOKEN")
    if url and bearer:
        return url, bearer
    if url or bearer:
        raise click.UsageError("MEDIA_API_URL and MEDIA_TOKEN belong together; only one of them is set.")
    state = _running(folder)
    return state.api_url, token.mint(state.token_secret, user)


def _running(folder: Path) -> State:
    state = State.read(folder)
    if state is None or not state.serves:
        raise click.ClickException(f"No stack runs in {folder}. Start one: media-dev up")
    return state


def _exit(work: Coroutine[Any, Any, int]) -> NoReturn:
    raise SystemExit(run(work, view.note))


if __name__ == "__main__":
    main()
