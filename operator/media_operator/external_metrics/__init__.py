"""`media-metrics`: the backlog of each pool as an external metric, for the HorizontalPodAutoscaler.

A process of its own, because it stands in the API server's discovery: while no replica of it answers, namespaces of
the whole cluster cannot be deleted. It keeps nothing; all it serves is in the status of the pools, all it needs to
stay itself is in one Secret.
"""
