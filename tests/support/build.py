"""Values for tests: each builder gives something ordinary, and a test names only what matters to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from media_core.asset import AssetMeta, AssetSpec, AssetStatus, AssetType, MediaAsset, Phase, Result, Source, Variant
from media_core.conditions import Condition, ConditionType, Truth, with_condition
from media_core.containers import WorkerImage
from media_core.names import (
    API_VERSION,
    ASSET_KIND,
    ISOLATED_LABEL,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    POOL_KIND,
    POOL_LABEL,
    PURGE_FINALIZER,
    RETRY_ANNOTATION,
    TEMPLATE_LABEL,
)
from media_core.observed import Observed
from media_core.pool import Attempts, MediaWorkerPool, PoolSpec, PoolStatus
from media_core.reasons import Reason
from media_core.scheduling import Seat, Snapshot, Waiting
from media_core.shape import timestamp

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BUCKET = "media"
JOB = "default-ab12-1"
POOL_UID = "ab12cd34-0000-4000-8000-000000000001"
_IDS = UUID("00000000-0000-4000-8000-000000000000")


def ago(seconds: float) -> datetime:
    """That many seconds before NOW."""
    return NOW - timedelta(seconds=seconds)


def in_(seconds: float) -> datetime:
    """That many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def an_id(name: str | int) -> str:
    """An asset id that is the same for the same name."""
    return str(uuid5(_IDS, str(name)))


def a_source(**fields: Any) -> Source:
    """The original of an image, as seen at confirm."""
    return Source.model_validate(
        {
            "bucket": BUCKET,
            "key": "uploads/image/user-1/20260102T030000_0123456789abcdef0123456789abcdef.jpg",
            "etag": "0123456789abcdef",
            "sizeBytes": 1_000_000,
            "contentType": "image/jpeg",
            **fields,
        }
    )


def a_spec(**fields: Any) -> AssetSpec:
    """The spec of an image of user-1."""
    return AssetSpec(**{"asset_type": AssetType.IMAGE, "owner": "user-1", "source": a_source(), **fields})


def a_status(reason: Reason | None = Reason.QUEUED, *, isolated: bool = False, **fields: Any) -> AssetStatus:
    """A status with a summary condition of that reason, and with the condition Isolated where asked."""
    phase = fields.get("phase", Phase.PENDING)
    truth = {Phase.COMPLETED: Truth.TRUE, Phase.FAILED: Truth.FALSE}.get(phase, Truth.UNKNOWN)
    conditions: tuple[Condition, ...] = ()
    if reason is not None:
        message = f"It is {reason.value}."
        conditions = with_condition(conditions, ConditionType.SUCCEEDED, truth, reason, message, ago(60))
    if isolated:
        told = "Its worker crashed."
        conditions = with_condition(
            conditions, ConditionType.ISOLATED, Truth.TRUE, Reason.WORKER_CRASHED, told, ago(90)
        )
    return AssetStatus(**{"conditions": conditions, **fields})


def scheduled(job: str = JOB, **fields: Any) -> AssetStatus:
    """Bound to a Job that has not begun with it."""
    return a_status(Reason.BOUND, **{"phase": Phase.SCHEDULED, "assigned_job": job, "binding": 1, **fields})


def processing(job: str = JOB, **fields: Any) -> AssetStatus:
    """Begun by the Job it is bound to."""
    begun = {"phase": Phase.PROCESSING, "assigned_job": job, "binding": 1, "start_time": ago(5)}
    return a_status(Reason.PROCESSING, **{**begun, **fields})


def given_back(reason: Reason, job: str = JOB, **fields: Any) -> AssetStatus:
    """Given back by the Job it is still bound to."""
    return a_status(reason, **{"phase": Phase.PENDING, "assigned_job": job, "binding": 1, **fields})


def completed(job: str = JOB, **fields: Any) -> AssetStatus:
    """Completed a minute ago."""
    result = Result(width=640, height=480, variants=(Variant(name="large", width=640, height=480, bytes=1234),))
    done = {"phase": Phase.COMPLETED, "assigned_job": job, "binding": 1, "completion_time": ago(60), "result": result}
    return a_status(Reason.COMPLETED, **{**done, **fields})


def failed(reason: Reason = Reason.UNDECODABLE, **fields: Any) -> AssetStatus:
    """Failed for good a minute ago."""
    return a_status(reason, **{"phase": Phase.FAILED, "binding": 1, "completion_time": ago(60), **fields})


def an_asset(
    name: str | int = "a",
    status: AssetStatus | None = None,
    *,
    deleted: datetime | None = None,
    retry: bool = False,
    version: int = 7,
    uid: str | None = None,
    finalizers: tuple[str, ...] = (PURGE_FINALIZER,),
    created: datetime | None = None,
    **spec: Any,
) -> MediaAsset:
    """An image of user-1, ten minutes old. `name` may be anything short: the asset's id is made of it."""
    asset_id = an_id(name)
    return MediaAsset(
        metadata=AssetMeta(
            name=asset_id,
            namespace="media",
            uid=uid or an_id(f"uid of {name}"),
            resource_version=str(version),
            generation=1,
            creation_timestamp=created or ago(600),
            deletion_timestamp=deleted,
            finalizers=finalizers,
            annotations={RETRY_ANNOTATION: "1"} if retry else {},
        ),
        spec=a_spec(**spec),
        status=status,
    )


def to_carry(usual: AssetType, key: str, content_type: str, /, **changes: Any) -> MediaAsset:
    """An asset of nine bytes as a worker is given it; `changes` are of its source, or its `asset_type`."""
    kind = changes.pop("asset_type", usual)
    source = {"bucket": "media", "key": key, "etag": "e", "size_bytes": 9, "content_type": content_type}
    return MediaAsset(
        metadata=AssetMeta(name="00000000-0000-4000-8000-000000000001"),
        spec=AssetSpec(asset_type=kind, owner="alice", source=Source(**{**source, **changes})),
    )


def an_asset_body(asset: MediaAsset) -> dict[str, Any]:
    """The asset as the API server's JSON."""
    status = {"status": asset.status.to_json()} if asset.status else {}
    return {
        "apiVersion": API_VERSION,
        "kind": ASSET_KIND,
        "metadata": asset.metadata.to_json(),
        "spec": asset.spec.to_json(),
        **status,
    }


def observed(asset: MediaAsset, **fields: Any) -> Observed:
    """One observation of that asset at NOW; `chance` 0.5 makes every backoff exact."""
    return Observed(**{"asset": asset, "now": NOW, "bucket": BUCKET, "attempts": Attempts(), **fields})


def a_pool(
    name: str = "default", *, version: int = 3, status: PoolStatus | None = None, **spec: Any
) -> MediaWorkerPool:
    """A pool with the defaults of its schema."""
    return MediaWorkerPool(
        metadata=AssetMeta(name=name, namespace="media", uid=POOL_UID, resource_version=str(version), generation=1),
        spec=PoolSpec(**spec),
        status=status or PoolStatus(),
    )


def a_pool_body(pool: MediaWorkerPool) -> dict[str, Any]:
    """The pool as the API server's JSON."""
    return {
        "apiVersion": API_VERSION,
        "kind": POOL_KIND,
        "metadata": pool.metadata.to_json(),
        "spec": pool.spec.to_json(),
        "status": pool.status.to_json(),
    }


def an_image(**fields: Any) -> WorkerImage:
    """What the operator's settings say of workers."""
    known = {"image": "registry.test/media-worker:1", "service_account": "media-worker", "s3_secret": "media-s3"}
    environment = {"S3_BUCKET_MEDIA": BUCKET, "AWS_REGION": "eu-central-1"}
    return WorkerImage(**{**known, "environment": environment, **fields})


def a_seat(job: str = JOB, *bound: str, **fields: Any) -> Seat:
    """A worker that is ready, two minutes old, with these assets bound to it; idle since 1 s where there are none."""
    idle = None if bound else ago(1)
    owners = tuple("user-1" for _ in bound)
    return Seat(
        **{"job": job, "created": ago(120), "bound": bound, "bound_owners": owners, "idle_since": idle, **fields}
    )


def a_starting_seat(job: str = JOB, *bound: str, age: float = 2, **fields: Any) -> Seat:
    """A worker whose pod was never ready."""
    return a_seat(job, *bound, **{"created": ago(age), "ever_ready": False, "unready_since": ago(age), **fields})


def a_waiting(name: str, owner: str = "user-1", **fields: Any) -> Waiting:
    """An asset that waits since a minute."""
    return Waiting(**{"name": name, "owner": owner, "priority": 0, "created": ago(60), **fields})


def a_snapshot(
    waiting: list[Waiting] | None = None, seats: list[Seat] | None = None, *, degraded: bool = False, **spec: Any
) -> Snapshot:
    """A pool at one moment."""
    return Snapshot(PoolSpec(**spec), waiting or [], seats or [], degraded)


def a_job_body(
    name: str = JOB,
    *,
    version: int = 5,
    uid: str | None = None,
    pool: str = "default",
    template: str = "0a1b2c3d",
    isolated_for: str | None = None,
    created: datetime | None = None,
    deleted: datetime | None = None,
    **status: Any,
) -> dict[str, Any]:
    """A worker Job as the API server's JSON; the rest of the arguments is its status."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, POOL_LABEL: pool, TEMPLATE_LABEL: template}
    metadata = {
        "name": name,
        "namespace": "media",
        "uid": uid or an_id(f"uid of {name}"),
        "resourceVersion": str(version),
        "creationTimestamp": timestamp(created or ago(120)),
        "labels": {**labels, **({ISOLATED_LABEL: isolated_for} if isolated_for else {})},
        **({"deletionTimestamp": timestamp(deleted)} if deleted else {}),
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}, "status": status}
