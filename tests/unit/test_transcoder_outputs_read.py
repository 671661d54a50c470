"""What ffmpeg left is read as if a hostile film had left it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from media_core.ladder import Film, ladder
from media_core.reasons import Reason
from media_worker.transcoder.master import Written
from media_worker.transcoder.outputs import Outputs
from media_worker.transcoder.protocol import TranscodeRefused

(RUNG,) = ladder(Film(320, 180, 0, 6.0, True))
PLAYLIST = "#EXTM3U\n#EXTINF:4.0,\nmaster_180p_00001.ts\n#EXTINF:2.0,\nmaster_180p_00002.ts\n#EXT-X-ENDLIST\n"


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    """A folder with an original, prepared."""
    folder = tmp_path / "film"
    (folder / "out").mkdir(parents=True)
    (folder / "original").write_bytes(b"head" * 5000)
    found = Outputs(folder)
    assert found.prepare() == (b"head" * 5000)[:4096]
    return found


@pytest.fixture
def hls(outputs: Outputs) -> Path:
    """A rung as it should be left."""
    folder = outputs.folder / "out/hls"
    (folder / "master_180p.m3u8").write_text(PLAYLIST)
    (folder / "master_180p_00001.ts").write_bytes(b"\0\0\x01\x67\x64\x00\x0d" + bytes(93))
    (folder / "master_180p_00002.ts").write_bytes(bytes(50))
    return folder


def test_a_rung_is_as_its_files_tell(outputs: Outputs, hls: Path) -> None:
    assert outputs.written(RUNG) == Written(RUNG, "avc1.64000d", ((4.0, 100), (2.0, 50)))


def replaced(name: str, put: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(hls: Path) -> None:
        (hls / name).unlink()
        put(hls / name)

    return change


def elsewhere(hls: Path) -> None:
    hls.rename(hls.parent.parent / "elsewhere")
    hls.symlink_to(hls.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(replaced("master_180p.m3u8", lambda _: None), id="no playlist"),
        pytest.param(
            replaced("master_180p.m3u8", os.mkfifo), id="a pipe for a playlist, at which a reader would wait"
        ),
        pytest.param(replaced("master_180p.m3u8", lambda p: p.symlink_to("/etc/passwd")), id="a link for a playlist"),
        pytest.param(replaced("master_180p.m3u8", lambda p: p.write_bytes(b"\xff\xfe")), id="no text"),
        pytest.param(replaced("master_180p.m3u8", lambda p: p.write_text("#EXTM3U\n")), id="no segments"),
        pytest.param(replaced("master_180p_00002.ts", lambda _: None), id="a missing segment"),
        pytest.param(
            replaced("master_180p_00001.ts", lambda p: p.symlink_to("/etc/passwd")), id="a link for a segment"
        ),
        pytest.param(replaced("master_180p_00001.ts", lambda p: p.write_bytes(b"noise")), id="a segment of noise"),
        pytest.param(elsewhere, id="a link for the folder"),
    ],
)
def test_a_rung_that_is_not_whole_is_charged(outputs: Outputs, hls: Path, change: Callable[[Path], None]) -> None:
    change(hls)
    with pytest.raises(TranscodeRefused) as refused:
        outputs.written(RUNG)
    assert refused.value.reason == Reason.DECODER_CRASHED
    assert "180p" in refused.value.message


def test_the_master_appears_whole(outputs: Outputs, hls: Path) -> None:
    outputs.put_master("#EXTM3U\n")
    assert (hls / "master.m3u8").read_text() == "#EXTM3U\n"
    assert not list(hls.glob("*.tmp"))


def test_the_master_is_not_written_through_a_link(outputs: Outputs, hls: Path, tmp_path: Path) -> None:
    (hls / "master.m3u8.tmp").symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError):
        outputs.put_master("#EXTM3U\n")
    assert not (tmp_path / "target").exists()


def test_what_is_made_may_take_so_many_bytes(outputs: Outputs, hls: Path) -> None:
    (outputs.folder / "out/video.mp4").write_bytes(bytes(20_000))
    outputs.check(50_000)
    with pytest.raises(TranscodeRefused) as refused:
        outputs.check(30_000)
    assert refused.value.reason == Reason.TOO_LARGE
    assert "30000" in refused.value.message


def test_empty_files_without_end_are_too_much_as_well(outputs: Outputs, hls: Path) -> None:
    for number in range(100):
        (hls / f"empty{number}").touch()
    with pytest.raises(TranscodeRefused):
        outputs.check(100_000)


@pytest.mark.parametrize("missing", ["original", "out"])
def test_a_folder_that_is_not_as_it_must_be_is_nobodys_fault(tmp_path: Path, missing: str) -> None:
    for name in {"original", "out"} - {missing}:
        (tmp_path / name).mkdir() if name == "out" else (tmp_path / name).touch()
    with pytest.raises(TranscodeRefused) as refused:
        Outputs(tmp_path).prepare()
    assert refused.value.reason == Reason.INTERNAL_ERROR


def test_there_is_room_on_the_disk(outputs: Outputs) -> None:
    assert outputs.room_bytes() > 0
