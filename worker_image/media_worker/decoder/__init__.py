"""The decoder: pixels and nothing else, in a container of its own without credentials, token or environment.

`server` listens on a unix socket and never opens an image. `zygote` forks the children that do, `child` is one of
them, `pipeline` and `steps` are what it does with an image. `client` is the worker's end.
"""
