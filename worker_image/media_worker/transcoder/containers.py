"""Which container a file is, by its first bytes. Pure.

Decided here and not by ffmpeg, whose own guess also takes playlists, lists of files and picture sequences for films,
all of which name other files to be opened. The one demuxer that is named to ffmpeg then reads this file only.
"""

from __future__ import annotations

from enum import Enum

from media_core.reasons import Reason
from media_worker.transcoder.protocol import TranscodeRefused

HEAD_BYTES = 4096
"""As much of a file as has to be seen."""

_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"[playlist]", b"[Playlist]", b"<SMIL", b"<smil", b"#EXTINF")
_SYNC = 0x47
_PACKETS = ((0, 188), (4, 192))
"""Where the first packet of MPEG-TS begins, and how far one is from the next: as sent, and with a time before each."""
_SYNCS = 4


class Container(Enum):
    """A container that is read: its demuxer in ffmpeg, and the options that keep it to the one file."""

    # The sample tables of a MOV may lie about files elsewhere, by reference.
    MOV = ("mov", ("-enable_drefs", "0", "-use_absolute_path", "0"))
    MATROSKA = ("matroska", ())
    MPEG_TS = ("mpegts", ())
    MPEG_PS = ("mpeg", ())
    AVI = ("avi", ())

    def __init__(self, demuxer: str, options: tuple[str, ...]) -> None:
        self.demuxer = demuxer
        self.options = options


def container(head: bytes) -> Container:
    """What a file that begins so is. Raises TranscodeRefused."""
    if head[4:8] in _BOXES:
        return Container.MOV
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return Container.MATROSKA
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return Container.AVI
    if head.startswith(b"\x00\x00\x01\xba"):
        return Container.MPEG_PS
    if any(_synchronous(head, first, apart) for first, apart in _PACKETS):
        return Container.MPEG_TS
    if any(mark in head[:512] for mark in _PLAYLISTS):
        raise TranscodeRefused(
            Reason.UNSUPPORTED_FORMAT, "The file is a playlist, which only names videos; the video itself is needed."
        )
    if not head:
        raise TranscodeRefused(Reason.UNDECODABLE, "The file is empty.")
    raise TranscodeRefused(
        Reason.UNSUPPORTED_FORMAT, "The file is no video that can be read: MP4, MOV, WebM, MKV, AVI or MPEG."
    )


def _synchronous(head: bytes, first: int, apart: int) -> bool:
    marks = head[first::apart][:_SYNCS]
    return len(marks) == _SYNCS and set(marks) == {_SYNC}
