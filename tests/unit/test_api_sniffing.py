"""Content types by first bytes: of real files, and of ones that want to be something else."""

from __future__ import annotations

import io

import pillow_heif
import pytest
from PIL import Image

from media_api.sniffing import sniff


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + b"\x00\x00\x00\x00" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body + b"\x00\x00\x00\x08mdat"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("AVIF", "image/avif"),
    ],
)
def test_a_picture_is_what_its_encoder_made(name: str, content_type: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, name)
    assert sniff(out.getvalue()) == content_type


def test_an_animated_png_is_a_png() -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    assert sniff(out.getvalue()) == "image/png"


def test_a_heic_is_told_from_other_iso_files() -> None:
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (16, 16), "red")).save(out)
    assert sniff(out.getvalue()) == "image/heic"


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        pytest.param(ftyp(b"isom", b"iso2", b"avc1", b"mp41"), "video/mp4", id="an MP4"),
        pytest.param(ftyp(b"mp42"), "video/mp4", id="an MP4 without compatible brands"),
        pytest.param(ftyp(b"M4V ", b"mp42"), "video/mp4", id="an M4V"),
        pytest.param(ftyp(b"XXXX", b"isom"), "video/mp4", id="an unknown brand that is compatible with MP4"),
        pytest.param(ftyp(b"qt  "), "video/quicktime", id="a QuickTime movie"),
        pytest.param(ftyp(b"mif1", b"heic"), "image/heic", id="a generic image that is compatible with HEIC"),
        pytest.param(ftyp(b"mif1", b"avif", b"miaf"), "image/avif", id="a generic image that is compatible with AVIF"),
        pytest.param(ftyp(b"mif1"), "image/heif", id="a generic image"),
        pytest.param(ftyp(b"M4A "), None, id="an audio file"),
        pytest.param(b"\x00\x00\x00\x00ftyp", None, id="a box that is cut off"),
        pytest.param(b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", "video/webm", id="a WebM"),
        pytest.param(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska", "video/x-matroska", id="a Matroska"),
        pytest.param(b"\x1a\x45\xdf\xa3\x9f\x42\x82\x83abc", None, id="another EBML file"),
        pytest.param(b"\x1a\x45\xdf\xa3", None, id="an EBML file that is cut off"),
        pytest.param(b"%PDF-1.7\n", "application/pdf", id="a PDF"),
        pytest.param(b"<html>%PDF-1.7", None, id="a page that has a PDF in it"),
        pytest.param(b"PK\x03\x04\x14\x00", "application/zip", id="an archive"),
        pytest.param(b"PK\x05\x06" + bytes(18), None, id="an archive without files"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'>", None, id="an SVG"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0", None, id="PostScript"),
        pytest.param(b"BM" + bytes(50), None, id="a bitmap"),
        pytest.param(b"MZ" + bytes(50), None, id="a program"),
        pytest.param(b"hello", None, id="a text"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_the_first_bytes_decide(head: bytes, content_type: str | None) -> None:
    assert sniff(head) == content_type
