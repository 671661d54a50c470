"""How a child ended says what becomes of the image it was at."""

from __future__ import annotations

import signal

import pytest

from media_core.reasons import Reason
from media_worker.decoder.confinement import Confinement
from media_worker.decoder.verdict import verdict

BOUNDS = Confinement(memory_bytes=1 << 30, cpu_seconds=90)


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        pytest.param(signal.SIGSEGV, Reason.DECODER_CRASHED, "signal 11 (SIGSEGV)", id="a bug in a C library"),
        pytest.param(signal.SIGABRT, Reason.DECODER_CRASHED, "signal 6 (SIGABRT)", id="an assertion in a C library"),
        pytest.param(40, Reason.DECODER_CRASHED, "signal 40", id="a signal without a name"),
        pytest.param(3 << 8, Reason.DECODER_CRASHED, "exit code 3", id="it left"),
        pytest.param(0, Reason.DECODER_CRASHED, "exit code 0", id="it left as if all were well"),
        pytest.param(None, Reason.DECODER_CRASHED, "not known how", id="nobody saw it end"),
        pytest.param(signal.SIGKILL, Reason.DECODER_OUT_OF_MEMORY, "memory", id="the kernel killed it"),
        pytest.param(signal.SIGXCPU, Reason.DEADLINE_EXCEEDED, "90 s of processor time", id="it used its time up"),
    ],
)
def test_the_end_of_a_child_is_a_reason_and_a_sentence(status: int | None, reason: Reason, said: str) -> None:
    refused = verdict(status, BOUNDS)
    assert refused.reason == reason
    assert said in refused.message
    assert refused.message.endswith(".")
