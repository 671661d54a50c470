"""A child of the decoder: takes a header and an open file from its socket, answers, and takes the next.

It ends when its parent closes the socket. After an error that is not the image's the parent replaces it.
"""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from media_core.reasons import Reason
from media_worker.decoder.confinement import Confinement, allow_cpu, confine
from media_worker.decoder.frames import pack, receive_header_and_file
from media_worker.decoder.protocol import Decoded, DecodeRefused, Request, refusal_header

Work = Callable[[BinaryIO, Request], Decoded]
"""What a child does with an image: `pipeline.render`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a header, and the bytes that follow it."""

    header: dict[str, Any]
    bodies: tuple[bytes, ...] = ()


def serve(sock: socket.socket, work: Work, bounds: Confinement) -> None:
    """Confined from here on, answer jobs until the parent closes the socket."""
    sock.sendall(pack({"ready": True, "restricted": confine(bounds)}))
    while (job := receive_header_and_file(sock)) is not None:
        header, descriptor = job
        request = Request.read(header)
        allow_cpu(min(bounds.cpu_seconds, request.limits.timeout_seconds))
        with open(descriptor, "rb") as file:
            answer = attempt(work, file, request, bounds)
        sock.sendall(pack(answer.header))
        for body in answer.bodies:
            sock.sendall(body)


def attempt(work: Work, file: BinaryIO, request: Request, bounds: Confinement) -> Answer:
    """The answer for one image, whatever happens in it."""
    try:
        decoded = work(file, request)
    except DecodeRefused as refused:
        return Answer(refusal_header(refused.reason, refused.message))
    except MemoryError:
        message = f"Decoding the image takes more memory than the {bounds.memory_bytes >> 20} MiB that are allowed."
        return Answer(refusal_header(Reason.DECODER_OUT_OF_MEMORY, message))
    except Exception as error:
        message = f"The decoder failed on the image: {type(error).__name__}."
        detail = "".join(traceback.format_exception(error))[-4000:]
        return Answer({**refusal_header(Reason.DECODER_CRASHED, message), "detail": detail})
    return Answer(decoded.to_header(), tuple(variant.data for variant in decoded.variants))


def close_all_but(kept: int) -> None:
    """Standard streams lead nowhere, and no descriptor is inherited but the one."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    for descriptor in [int(name) for name in os.listdir("/proc/self/fd")]:
        if descriptor > 2 and descriptor != kept:
            with suppress(OSError):  # the listing's own
                os.close(descriptor)
