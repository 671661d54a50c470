"""What the end of ffprobe or ffmpeg says about the film. Pure. Ends that the server itself ordered never come here."""

from __future__ import annotations

import re
import signal

from media_core.reasons import Reason
from media_worker.transcoder.confinement import Bounds
from media_worker.transcoder.launch import NO_PROGRAM
from media_worker.transcoder.process import Ended
from media_worker.transcoder.protocol import TranscodeRefused

LEAST_ROOM_BYTES = 16 << 20
"""A disk with less room than that is full."""
_SPEAKER = re.compile(r"^(?:\[[^\]]*\] |original: )+")
_UNREAD = re.compile(r"Codec \(([A-Za-z0-9_-]{1,40})\) not on whitelist")
_OURS = re.compile("No such filter|Unknown encoder|Unrecognized option|cannot be applied to")
"""What no film can bring about: this ffmpeg is not the one that the command was written for."""
_TOLD_CHARACTERS = 200


def probed(ended: Ended, bounds: Bounds) -> TranscodeRefused | None:
    """Why there is no answer of ffprobe; None where there is one."""
    if ended.code == 0:
        return None
    if (refused := _of_the_program(ended, bounds)) is not None:
        return refused
    if (unread := _UNREAD.search(ended.complaints)) is not None:
        message = f"Part of the file is coded as {unread[1]}, which is not read."
        return TranscodeRefused(Reason.UNSUPPORTED_FORMAT, message)
    return _undecodable("The file cannot be read", ended)


def encoded(ended: Ended, bounds: Bounds, *, frames: int, room_bytes: int) -> TranscodeRefused | None:
    """Why there is no film after ffmpeg, which made so many frames and left so much room on the disk."""
    if ended.code == 0 and frames:
        return None
    if room_bytes < LEAST_ROOM_BYTES:
        message = f"The disk that the film is made on is full: {room_bytes} bytes of it are left."
        return TranscodeRefused(Reason.INTERNAL_ERROR, message)
    if ended.code and (refused := _of_the_program(ended, bounds)) is not None:
        return refused
    if not frames:
        return _undecodable("No picture of the video can be decoded", ended)
    message = f"The transcoder ended with exit code {ended.code} in the middle of the video."
    return TranscodeRefused(Reason.DECODER_CRASHED, message)


def _of_the_program(ended: Ended, bounds: Bounds) -> TranscodeRefused | None:
    """A reason that lies in how it ended and not in what it says of the film."""
    if ended.out_of_memory:
        message = f"The video takes more memory than the {bounds.memory_bytes >> 20} MiB that are allowed."
        return TranscodeRefused(Reason.DECODER_OUT_OF_MEMORY, message)
    if ended.code == NO_PROGRAM or (ended.code > 0 and _OURS.search(ended.complaints)):
        return TranscodeRefused(Reason.INTERNAL_ERROR, f"The transcoder cannot start: {_told(ended)}.")
    if ended.code >= 0:
        return None
    match -ended.code:
        case signal.SIGXFSZ:
            message = f"A file of the film grew beyond the {bounds.file_bytes} bytes that are allowed."
            return TranscodeRefused(Reason.TOO_LARGE, message)
        case signal.SIGXCPU:
            message = f"The video took more than {bounds.cpu_seconds} s of processor time and was stopped."
            return TranscodeRefused(Reason.DEADLINE_EXCEEDED, message)
        case signal.SIGKILL:
            message = "The transcoder was killed by the system on the video, as happens when memory runs out."
            return TranscodeRefused(Reason.DECODER_OUT_OF_MEMORY, message)
        case number:
            message = f"The transcoder was ended by signal {number} ({_signal_name(number)}) on the video."
            return TranscodeRefused(Reason.DECODER_CRASHED, message)


def _undecodable(what: str, ended: Ended) -> TranscodeRefused:
    return TranscodeRefused(Reason.UNDECODABLE, f"{what}: {_told(ended)}.")


def _told(ended: Ended) -> str:
    """The first thing it complained about, in its own words."""
    first = next((line for line in ended.complaints.splitlines() if line.strip()), "it is damaged")
    words = "".join(each for each in _SPEAKER.sub("", first.strip()) if each.isprintable())
    return words[:_TOLD_CHARACTERS].rstrip(".! ")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "real-time"
