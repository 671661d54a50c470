"""Settings as the README shows them."""

from __future__ import annotations

from pydantic import Field

from media_core.settings import ServiceSettings, SettingDoc, documented


class Sample(ServiceSettings):
    """One field of each kind of default."""

    needed: str = Field(alias="SAMPLE_NEEDED", description="Has none.")
    switch: bool = Field(True, alias="SAMPLE_SWITCH", description="Is a truth.")
    several: tuple[str, ...] = Field(("a", "b"), alias="SAMPLE_SEVERAL", description="Are several.")
    maybe: int | None = Field(None, alias="SAMPLE_MAYBE", description="May be absent.")


def test_defaults_are_shown_as_they_would_be_set() -> None:
    own = [row for row in documented(Sample) if row.name.startswith("SAMPLE_")]
    assert own == [
        SettingDoc("SAMPLE_MAYBE", "", "May be absent."),
        SettingDoc("SAMPLE_NEEDED", None, "Has none."),
        SettingDoc("SAMPLE_SEVERAL", "a,b", "Are several."),
        SettingDoc("SAMPLE_SWITCH", "true", "Is a truth."),
    ]
