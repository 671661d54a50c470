"""An in-memory Kubernetes API over HTTP, with Jobs run as local processes.

Enough of a cluster to run the operator, its workers and their tests on a machine without one: what kopf,
`kubernetes.aio` and the verbs get, describe, create, apply, patch, edit, scale, delete, wait and logs of the
stock kubectl ask for, and no more. Nothing outside this package knows that it is not a real cluster; the suite
in tests/protocol runs against both and so keeps it honest.

Left out, on purpose:
- CEL rules, admission (webhooks and policies), RBAC, authentication, TLS, quotas, priority and fairness;
- server-side apply (refused with 415), managedFields, conversion between versions of a CRD;
- strategic merge patch is taken as a merge patch: lists are replaced; custom resources refuse it as they should;
- validation of built-in kinds beyond metadata and what the Job controller needs; ratcheting of old invalid values;
- resource limits, probes, networks, schedulers, Services: a container is a process of this machine;
- main containers that are restarted (`restartPolicy` is taken as Never), Indexed Jobs, success policies;
- persistence: the state ends with the process. Resource versions grow with the wall clock, so that a client of an
  earlier run is told "410 Expired" rather than left waiting.
"""
