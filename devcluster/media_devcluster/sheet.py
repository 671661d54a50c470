"""The contact sheet: originals and what was made of them, as one HTML page with relative files beside it.

No script and nothing from elsewhere: it can be opened from the disk, zipped, or put behind any web server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from media_api.models import VariantAnswer
from media_core.asset import AssetType, TranscodeStatus
from media_devcluster.carrying import Carried
from media_devcluster.sizes import bytes_text, share_text
from media_devcluster.thumbhash import data_url

PAGE = "index.html"
STYLE = Path(__file__).with_name("sheet.css")
SHOWN_BY_BROWSERS = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"})


@dataclass(frozen=True)
class Card:
    """A file on the sheet: what became of it, and where its files are beside the page (by variant's name)."""

    carried: Carried
    original: str | None
    renditions: dict[str, str]


def write(folder: Path, cards: Sequence[Card]) -> Path:
    """Write the page. Returns its path."""
    page = folder / PAGE
    page.write_text(render(cards), encoding="utf-8")
    return page


def render(cards: Sequence[Card]) -> str:
    """The page's HTML."""
    ready = sum(card.carried.completed for card in cards)
    made = [variant for card in cards if card.carried.playback for variant in card.carried.playback.variants]
    facts = [
        f"{ready} of {len(cards)} completed",
        f"{len(made)} renditions",
        bytes_text(sum(variant.bytes for variant in made)),
    ]
    body = "\n".join(_card(card) for card in cards)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Contact sheet</title>\n<style>{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
        f"<header><h1>Contact sheet</h1><p>{' · '.join(facts)}</p></header>\n<main>\n{body}\n</main>\n"
        "<footer>Below each original: the ThumbHash that a page shows first, then the renditions.</footer>\n"
        "</body>\n</html>\n"
    )


def _card(card: Card) -> str:
    carried = card.carried
    colour = carried.playback.dominant_color if carried.playback else None
    style = f' style="--dominant:{escape(colour)}"' if colour else ""
    return (
        f'<article class="{carried.status.value.lower()}"{style}>\n'
        f"<div class=original>{_original(card)}</div>\n"
        f"<div class=about><h2>{escape(carried.file.name)}</h2>{_state(carried)}"
        f"<p class=facts>{_facts(carried)}</p>{_colour(colour)}"
        f"{_message(carried)}</div>\n<div class=strip>{_strip(card)}</div>\n</article>"
    )


def _state(carried: Carried) -> str:
    took = f" in {carried.seconds:.2f} s" if carried.completed and carried.seconds is not None else ""
    return f"<p class=state>{escape(carried.status.value.lower())}{took}</p>"


def _original(card: Card) -> str:
    media, shown = card.carried.media, card.carried.playback
    if card.original is None or media is None:
        return "<span class=none>no picture</span>"
    link = quote(card.original)
    if media.asset_type is AssetType.VIDEO:
        poster = card.renditions.get("thumbnail")
        behind = f' poster="{quote(poster)}"' if poster else ""
        return f'<video src="{link}" controls preload="metadata"{behind}></video>'
    if media.content_type in SHOWN_BY_BROWSERS and card.carried.status is not TranscodeStatus.FAILED:
        size = f' width="{shown.width}" height="{shown.height}"' if shown and shown.width and shown.height else ""
        return f'<a href="{link}"><img src="{link}" alt="the original" loading="lazy"{size}{_behind(shown)}></a>'
    kind = media.content_type.rpartition("/")[2].upper()
    if stand_in := card.renditions.get("large"):
        picture = f'<img src="{quote(stand_in)}" alt="its largest rendition" loading="lazy"{_behind(shown)}>'
        return f'<a href="{link}">{picture}</a><span class=note>{escape(kind)} original: shown is its rendition</span>'
    return f'<a class=none href="{link}">{escape(kind)}</a>'


def _behind(shown: object) -> str:
    placeholder = getattr(shown, "placeholder", None)
    url = data_url(placeholder) if placeholder else None
    return f' style="background-image:url({url})"' if url else ""


def _facts(carried: Carried) -> str:
    media, shown = carried.media, carried.playback
    facts = []
    if media:
        facts += [escape(media.content_type), bytes_text(media.size_bytes)]
    if shown and shown.width and shown.height:
        facts.append(f"{shown.width} × {shown.height}")
    if shown and shown.duration_seconds:
        facts.append(f"{shown.duration_seconds} s")
    if shown and (shown.frames or 1) > 1:
        facts.append(f"{shown.frames} frames")
    return " · ".join(facts)


def _colour(colour: str | None) -> str:
    return f"<p class=colour><i></i>{escape(colour)}</p>" if colour else ""


def _message(carried: Carried) -> str:
    return "" if carried.completed or not carried.message else f"<p class=message>{escape(carried.message)}</p>"


def _strip(card: Card) -> str:
    shown = card.carried.playback
    if shown is None:
        return ""
    figures = []
    if shown.placeholder and (url := data_url(shown.placeholder)):
        figures.append(_figure("placeholder", f'<img src="{url}" alt="">', f"{len(shown.placeholder)} characters"))
    whole = card.carried.media.size_bytes if card.carried.media else 0
    for variant in shown.variants:
        if picture := _picture(card, variant):
            share = f" ({share_text(variant.bytes, whole)})" if whole else ""
            size = f"{variant.width} × {variant.height}<br>{bytes_text(variant.bytes)}{share}"
            figures.append(_figure(variant.name, picture, size))
    return "".join(figures)


def _picture(card: Card, variant: VariantAnswer) -> str:
    """What is shown of a rendition; nothing of one whose file is not there."""
    link = quote(card.renditions.get(variant.name, ""))
    if link.endswith(".mp4"):
        return f'<a class=none href="{link}">MP4</a>'
    if link:
        size = f' width="{variant.width}" height="{variant.height}"'
        return f'<a href="{link}"><img src="{link}" alt="{escape(variant.name)}" loading="lazy"{size}></a>'
    return "<span class=none>HLS</span>" if variant.key.endswith(".m3u8") else ""


def _figure(name: str, picture: str, below: str) -> str:
    return f"<figure>{picture}<figcaption><b>{escape(name)}</b><br>{below}</figcaption></figure>"
