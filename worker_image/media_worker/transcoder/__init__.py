"""The transcoder: films and nothing else, in a container of its own without credentials, token or environment.

`server` is the program, `listener` its socket, `transcoding` the way of one film; none of them ever decodes one. What
does are ffprobe and ffmpeg, as confined children: `process` starts them by way of `launch`, `confinement` and
`syscalls` are their bounds, `verdict` says what their end means. `containers`, `probing` and `frame_rate` decide what
a film is, `command` what is made of it, `progress` how far that is, `outputs` and `master` name what was made.
`protocol` is what the worker and the transcoder say to each other.
"""
