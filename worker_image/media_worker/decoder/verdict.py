"""What the end of a child in the middle of an image says about the image. Pure."""

from __future__ import annotations

import os
import signal

from media_core.reasons import Reason
from media_worker.decoder.confinement import Confinement
from media_worker.decoder.protocol import DecodeRefused


def verdict(status: int | None, bounds: Confinement) -> DecodeRefused:
    """From the status of wait(2), or None where nobody could say. Ends that the server itself ordered never come here.

    SIGKILL from elsewhere is the kernel's answer when the container's memory is used up.
    """
    if status is None:
        return DecodeRefused(Reason.DECODER_CRASHED, "The decoder ended on the image, and it is not known how.")
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        message = f"Decoding the image took more than {bounds.cpu_seconds} s of processor time and was stopped."
        return DecodeRefused(Reason.DEADLINE_EXCEEDED, message)
    if code == -signal.SIGKILL:
        message = "The decoder was killed by the system on the image, as happens when memory runs out."
        return DecodeRefused(Reason.DECODER_OUT_OF_MEMORY, message)
    if code < 0:
        message = f"The decoder was ended by signal {-code} ({_signal_name(-code)}) on the image."
        return DecodeRefused(Reason.DECODER_CRASHED, message)
    return DecodeRefused(Reason.DECODER_CRASHED, f"The decoder ended with exit code {code} on the image.")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "real-time"
