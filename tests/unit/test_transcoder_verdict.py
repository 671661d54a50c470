"""How ffprobe and ffmpeg ended says what becomes of the film."""

from __future__ import annotations

import signal

import pytest

from media_core.reasons import Reason
from media_worker.transcoder import verdict
from media_worker.transcoder.confinement import Bounds
from media_worker.transcoder.process import KEPT_BYTES, Complaints, Ended

BOUNDS = Bounds(memory_bytes=1 << 30, file_bytes=5000, cpu_seconds=90)
ROOM = 1 << 30
BROKEN = "[mov,mp4 @ 0x55d0] [error] moov atom not found\noriginal: Invalid data found when processing input"


def ended(code: int, complaints: str = "", *, out_of_memory: bool = False) -> Ended:
    return Ended(code, complaints, out_of_memory)


def test_a_film_is_made_where_ffmpeg_ended_well_whatever_it_complained_about() -> None:
    assert verdict.probed(ended(0, BROKEN), BOUNDS) is None
    assert verdict.encoded(ended(0, BROKEN, out_of_memory=True), BOUNDS, frames=1, room_bytes=ROOM) is None


@pytest.mark.parametrize(
    ("how", "reason", "said"),
    [
        pytest.param(ended(1, BROKEN), Reason.UNDECODABLE, "cannot be read: moov atom not found.", id="damaged"),
        pytest.param(ended(1), Reason.UNDECODABLE, "cannot be read: it is damaged.", id="without a word"),
        pytest.param(
            ended(1, "[png @ 0x1] Codec (wmv3) not on whitelist 'h264'"),
            Reason.UNSUPPORTED_FORMAT,
            "coded as wmv3",
            id="of another codec",
        ),
        pytest.param(ended(1, "\x1b[31mred"), Reason.UNDECODABLE, "[31mred", id="nothing unprintable is repeated"),
        pytest.param(ended(-signal.SIGSEGV), Reason.DECODER_CRASHED, "signal 11 (SIGSEGV)", id="a crash"),
        pytest.param(ended(1, out_of_memory=True), Reason.DECODER_OUT_OF_MEMORY, "1024 MiB", id="no memory"),
    ],
)
def test_a_file_that_cannot_be_probed_is_refused(how: Ended, reason: Reason, said: str) -> None:
    refused = verdict.probed(how, BOUNDS)
    assert refused is not None
    assert refused.reason == reason
    assert said in refused.message


@pytest.mark.parametrize(
    ("how", "frames", "room", "reason", "said"),
    [
        pytest.param(ended(0), 0, ROOM, Reason.UNDECODABLE, "No picture", id="nothing was decoded"),
        pytest.param(ended(1, BROKEN), 0, ROOM, Reason.UNDECODABLE, "No picture", id="it gave up at once"),
        pytest.param(ended(1), 9, ROOM, Reason.DECODER_CRASHED, "exit code 1 in the middle", id="it gave up later"),
        pytest.param(ended(-signal.SIGABRT), 9, ROOM, Reason.DECODER_CRASHED, "signal 6 (SIGABRT)", id="a bug"),
        pytest.param(ended(-40), 9, ROOM, Reason.DECODER_CRASHED, "signal 40 (real-time)", id="a nameless signal"),
        pytest.param(ended(-signal.SIGKILL), 9, ROOM, Reason.DECODER_OUT_OF_MEMORY, "memory", id="the kernel did it"),
        pytest.param(ended(1, out_of_memory=True), 0, ROOM, Reason.DECODER_OUT_OF_MEMORY, "1024 MiB", id="no memory"),
        pytest.param(ended(-signal.SIGXFSZ), 9, ROOM, Reason.TOO_LARGE, "5000 bytes", id="a file too large"),
        pytest.param(ended(-signal.SIGXCPU), 9, ROOM, Reason.DEADLINE_EXCEEDED, "90 s of processor", id="its time up"),
        pytest.param(ended(1), 9, 4096, Reason.INTERNAL_ERROR, "full: 4096 bytes", id="a full disk"),
        pytest.param(ended(-signal.SIGBUS), 9, 0, Reason.INTERNAL_ERROR, "full: 0 bytes", id="a full disk, in memory"),
        pytest.param(
            ended(127, "ffmpeg: No such file or directory"),
            0,
            ROOM,
            Reason.INTERNAL_ERROR,
            "cannot start: ffmpeg: No such file",
            id="no ffmpeg",
        ),
        pytest.param(
            ended(1, "[AVFilterGraph @ 0x1] No such filter: 'zscale'"),
            0,
            ROOM,
            Reason.INTERNAL_ERROR,
            "No such filter",
            id="another ffmpeg",
        ),
    ],
)
def test_a_film_that_was_not_made_has_a_reason(how: Ended, frames: int, room: int, reason: Reason, said: str) -> None:
    refused = verdict.encoded(how, BOUNDS, frames=frames, room_bytes=room)
    assert refused is not None
    assert refused.reason == reason
    assert said in refused.message
    assert refused.message.endswith(".")


def test_of_many_complaints_the_first_and_the_last_are_kept() -> None:
    complaints = Complaints()
    for number in range(10_000):
        complaints.add(f"complaint {number}\n".encode())
    assert complaints.text.startswith("complaint 0\n")
    assert complaints.text.endswith("complaint 9999")
    assert len(complaints.text) <= 2 * KEPT_BYTES + 1
    assert not complaints.of_memory


def test_few_complaints_are_kept_once() -> None:
    complaints = Complaints()
    complaints.add(b"one\n")
    complaints.add(b"two\n")
    assert complaints.text == "one\ntwo"


def test_missing_memory_is_heard_however_its_complaint_is_cut() -> None:
    complaints = Complaints()
    complaints.add(b"x" * 9000 + b"Cannot allo")
    complaints.add(b"cate memory")
    assert complaints.of_memory
