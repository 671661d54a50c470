"""S3 from moto's server, as a process of its own. It checks no signatures: what needs that is tested elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from media_devcluster.processes import Child, Command, StartFailed, free_port

NAME = "s3"
REGION = "ap-south-1"


@dataclass(frozen=True)
class S3:
    """Where the media are kept, and the keys to it."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    region: str = REGION

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every program of the service is told."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "S3_BUCKET_MEDIA": self.bucket,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
        }

    def client(self) -> Any:
        """A boto3 client of it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
            ),
        )


async def start(folder: Path, log: Path, bucket: str, begin: Callable[[Command], Child]) -> S3:
    """Start the server in `folder`, which is there, and create the bucket. Raises StartFailed."""
    port = free_port()
    store = S3(f"http://127.0.0.1:{port}", bucket, access_key="media-dev", secret_key="media-dev-secret")  # noqa: S106
    child = begin(
        Command(
            name=NAME,
            argv=(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)),
            log=log,
            folder=folder,
            # Large objects are files without a name in its temporary folder.
            env={"TMPDIR": str(folder)},
            patience_seconds=60.0,
            stop_seconds=5.0,
            advice="Is `moto[s3]` installed with its server? `make setup` installs it.",
        )
    )
    await child.ready(lambda: asyncio.to_thread(_bucket_exists, store))
    return store


async def reach(store: S3) -> None:
    """See that a bucket that is not ours can be reached. Raises StartFailed."""
    try:
        await asyncio.to_thread(store.client().head_bucket, Bucket=store.bucket)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise StartFailed(
            NAME,
            f"does not answer for bucket {store.bucket} at {store.endpoint}: {error}",
            advice="Check --s3-endpoint, --bucket, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        ) from error


def _bucket_exists(store: S3) -> bool:
    try:
        store.client().create_bucket(
            Bucket=store.bucket, CreateBucketConfiguration={"LocationConstraint": store.region}
        )
    except ClientError as error:
        return error.response["Error"]["Code"] == "BucketAlreadyOwnedByYou"
    except BotoCoreError:
        return False
    return True
