"""The decoder: pixels and nothing else, in a container of its own without credentials, token or environment.

`server` is the program, `listener` its socket; neither ever opens an image. `children` and `nursery` are how it sees
the processes that do: `zygote` forks them, `child` is one of them, `confinement` and `syscalls` are its bounds,
`pipeline` and `steps` what it does with an image. `client` is the worker's end, `protocol` and `wire` what both speak.
"""
