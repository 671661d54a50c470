"""Where the operator touches the world: the Kubernetes API, PostgreSQL's pool, object storage."""
