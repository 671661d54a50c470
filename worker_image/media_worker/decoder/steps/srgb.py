"""sRGB: whatever the profile and the mode were, RGB or RGBA as every screen understands it without a profile."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from PIL import Image, ImageCms, ImageFile

from media_worker.decoder.steps.picture import Picture

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_OPAQUE = (255, 255)


def in_srgb(picture: Picture) -> Picture:
    """A profile that is broken, or not for these pixels, is left out of account: odd colours beat no picture."""
    pixels = picture.pixels
    alpha = pixels.getchannel("A") if pixels.mode in ("LA", "RGBA") else None
    colours = pixels.convert(pixels.mode[:-1]) if alpha else pixels
    rgb = _converted(colours, picture.profile) if picture.profile else None
    if rgb is None:
        rgb = colours if colours.mode == "RGB" and not _of_a_file(colours) else colours.convert("RGB")
    if alpha is not None and alpha.getextrema() != _OPAQUE:
        rgb.putalpha(alpha)
    return replace(picture, pixels=rgb, profile=None)


def _of_a_file(pixels: Image.Image) -> bool:
    """As it was opened: the library asks the file system about one when it saves it, which is refused here."""
    return isinstance(pixels, ImageFile.ImageFile)


def _converted(colours: Image.Image, profile: bytes) -> Image.Image | None:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(
            colours,
            source,
            _SRGB,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
