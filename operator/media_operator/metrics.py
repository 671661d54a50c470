"""What the operator tells Prometheus. Names are stable; the alerts in the chart stand on them."""

from prometheus_client import Counter, Gauge, Histogram

LEADER = Gauge("media_leader", "1 while this operator holds the Lease and works, 0 while it stands by.")
BACKLOG_SECONDS = Gauge(
    "media_backlog_seconds", "Seconds one worker would need for all that is queued or running.", ["pool"]
)
QUEUED = Gauge("media_assets_queued", "Assets that wait for a worker.", ["pool"])
BUSY = Gauge("media_assets_bound", "Assets bound to a worker.", ["pool"])
JOBS = Gauge("media_worker_jobs", "Worker Jobs that are not over.", ["pool"])
OLDEST_WAITING = Gauge("media_oldest_waiting_seconds", "Age of the asset that waits longest.", ["pool"])
STUCK = Gauge("media_workers_stuck", "1 while workers of the pool do not start.", ["pool"])
DEGRADED = Gauge("media_pool_degraded", "1 while object storage fails the pool's workers.", ["pool"])
LIVE = Gauge("media_assets_live", "MediaAsset objects in the cluster.")
MIRROR_PENDING = Gauge("media_mirror_pending", "Sights that are not yet in PostgreSQL.")
MIRROR_FAILURES = Counter("media_mirror_failures", "Writes to PostgreSQL that failed.")
SETTLED = Counter("media_assets_settled", "Assets that were completed or failed.", ["phase", "reason"])
BINDS = Counter("media_binds", "Assets bound to a worker.", ["pool"])
RELEASES = Counter("media_releases", "Assets taken or given back from a worker.", ["reason"])
CONFLICTS = Counter("media_conflicts", "Writes refused because somebody else had written first.")
RECONCILE_SECONDS = Histogram(
    "media_reconcile_seconds", "Time of one look at one asset.", buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10)
)
RECONCILE_FAILURES = Counter("media_reconcile_failures", "Looks at an asset that failed and are repeated.")
EVENTS_DROPPED = Counter(
    "media_events_dropped", "Kubernetes Events not written: they came too fast, or too many waited."
)
TRANSCODING = Gauge("media_transcoding", "Videos that are at MediaConvert, or wait to be submitted to it.")
TRANSCODER_TROUBLES = Counter(
    "media_transcoder_troubles", "Calls that MediaConvert refused or did not answer.", ["kind"]
)
