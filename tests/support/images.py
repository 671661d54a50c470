"""Images made on the spot: every mode and format that uploads come in, and those that are made to do harm."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import pillow_heif
from PIL import ExifTags, Image, ImageCms

pillow_heif.register_heif_opener()

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 40), (30, 40, 220), (230, 220, 30)


def quadrants(width: int = 400, height: int = 300) -> Image.Image:
    """Red and green above, blue and yellow below: no two orientations look alike."""
    corners = Image.new("RGB", (2, 2))
    for place, color in zip(((0, 0), (1, 0), (0, 1), (1, 1)), (RED, GREEN, BLUE, YELLOW), strict=True):
        corners.putpixel(place, color)
    return corners.resize((width, height), Image.Resampling.NEAREST)


def gradient(width: int, height: int) -> Image.Image:
    """Something with edges nowhere and colours everywhere."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (across, down, Image.radial_gradient("L").resize((width, height))))


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    """The image as a file."""
    file = BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    """The image of a file, loaded."""
    image = Image.open(BytesIO(data))
    image.load()
    return image


def corners(data: bytes) -> list[tuple[int, ...]]:
    """The colours in the middle of a file's four quadrants, row by row."""
    image = opened(data).convert("RGB")
    places = [(x * image.width // 4, y * image.height // 4) for y in (1, 3) for x in (1, 3)]
    return [tuple(int(channel) for channel in image.getpixel(place)) for place in places]


def alike(one: tuple[int, ...], other: tuple[int, ...], tolerance: int = 24) -> bool:
    """Whether two colours are the same to the eye."""
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def camera_exif(orientation: int = 1) -> Image.Exif:
    """What a phone writes: camera, position and orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SecretCamera"
    exif[ExifTags.Base.Orientation] = orientation
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 30.0)
    return exif


def profile(name: str = "sRGB") -> bytes:
    """An ICC profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def swapping_profile() -> bytes:
    """sRGB with the red and the blue primary exchanged: whoever heeds it sees red pixels blue."""
    raw = bytearray(profile())
    tags = {bytes(raw[at : at + 4]): at for at in range(132, 132 + 12 * struct.unpack(">I", raw[128:132])[0], 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    raw[red : red + 4], raw[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(raw)


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of some hundred bytes whose header promises that many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*c) for c in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b"")))


def animated(format_: str, frames: int = 5, size: tuple[int, int] = (64, 48)) -> bytes:
    """An animation whose first frame is red."""
    colors = [RED, GREEN, BLUE, YELLOW]
    images = [Image.new("RGB", size, colors[index % 4]) for index in range(frames)]
    return encoded(images[0], format_, save_all=True, append_images=images[1:], duration=50, loop=0)


def endless_gif(frames: int) -> bytes:
    """A small GIF of very many empty frames."""
    head = b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    return head + frame * frames + b";"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
