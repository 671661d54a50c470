"""Which machines have a filter of system calls for ffmpeg, and that its jumps stay within it."""

from __future__ import annotations

import struct

import pytest

from media_worker.transcoder.syscalls import DENIED, program


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_filter_is_of_whole_instructions_and_no_jump_leads_out_of_it(machine: str) -> None:
    code = program(machine, 4711)
    assert code is not None
    instructions = list(struct.iter_unpack("=HBBI", code))
    assert len(instructions) < 4096, "the kernel takes no more"
    assert all(at + 1 + max(so, not_) < len(instructions) for at, (_, so, not_, _) in enumerate(instructions[:-1]))


def test_a_machine_that_is_not_known_has_none() -> None:
    assert program("riscv64", 4711) is None


@pytest.mark.parametrize("column", [0, 1])
def test_no_call_is_named_twice(column: int) -> None:
    numbers = [each[column] for each in DENIED.values()]
    assert len(numbers) == len(set(numbers))
