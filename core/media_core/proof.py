"""What a whole film looks like in object storage: which files its playlists name, and the result they amount to.

A job's own word is not enough: it tells neither where its outputs are nor that they are there. Pure; reading the
playlists and asking for the files is the operator's `proving`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from media_core.asset import Result, Variant
from media_core.ladder import (
    HLS,
    MASTER,
    THUMBNAIL,
    VIDEO,
    Film,
    is_segment,
    ladder,
    playlist_path,
    progressive,
    rung_of,
    thumbnail_size,
)
from media_core.playlist import PlaylistBroken, parse_master, parse_media


@dataclass(frozen=True, slots=True)
class Listed:
    """A rung as the master playlist names it."""

    name: str
    width: int
    height: int

    @property
    def path(self) -> str:
        """Path of its playlist, relative to the film's folder."""
        return playlist_path(self.name)


def rungs(master: str) -> tuple[Listed, ...]:
    """The rungs of a master playlist. Raises PlaylistBroken, also where one is called as no rung of ours."""
    found = []
    for variant in parse_master(master):
        path = f"{HLS}/{variant.uri}"
        name = rung_of(path)
        if name is None or path != playlist_path(name) or variant.resolution is None:
            raise PlaylistBroken(f"{variant.uri[:80]!r} is no rung with a size.")
        found.append(Listed(name, *variant.resolution))
    return tuple(found)


def segments(rung: str, playlist: str) -> tuple[str, ...]:
    """Paths of a rung's segments, relative to the film's folder. Raises PlaylistBroken, also where more may follow."""
    found = parse_media(playlist)
    if not found.ended:
        raise PlaylistBroken(f"the playlist of {rung} has no end.")
    paths = tuple(f"{HLS}/{segment.uri}" for segment in found.segments)
    for path in paths:
        if not is_segment(path, rung):
            raise PlaylistBroken(f"{path[:80]!r} is no segment of {rung}.")
    return paths


def result(shown: tuple[int, int], files: Mapping[Listed, Sequence[str]], sizes: Mapping[str, int]) -> Result:
    """The result of a film of that size whose rungs have these segments.

    Raises PlaylistBroken where a rung or one of the files is missing. `sizes` are the bytes of every file, by its
    path relative to the film's folder.
    """
    film = Film(*shown)
    if missing := {rung.name for rung in ladder(film)} - {rung.name for rung in files}:
        raise PlaylistBroken(f"{MASTER} does not name {', '.join(sorted(missing))}.")
    for path in (VIDEO, THUMBNAIL, *(path for paths in files.values() for path in paths)):
        if not sizes.get(path):
            raise PlaylistBroken(f"{path} is missing or empty.")
    width, height = shown
    one_file, thumbnail = progressive(film), thumbnail_size(film)
    made = [
        Variant(name=rung.name, width=rung.width, height=rung.height, bytes=sum(sizes[path] for path in paths))
        for rung, paths in files.items()
    ]
    made.append(Variant(name="video", width=one_file.width, height=one_file.height, bytes=sizes[VIDEO]))
    made.append(Variant(name="thumbnail", width=thumbnail[0], height=thumbnail[1], bytes=sizes[THUMBNAIL]))
    return Result(width=width, height=height, variants=tuple(made))
