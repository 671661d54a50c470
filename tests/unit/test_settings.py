"""Settings as the README shows them, and as a program is told that one is wrong."""

from __future__ import annotations

import pytest
from pydantic import Field

from media_core.settings import ServiceSettings, SettingDoc, documented, load_or_exit


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


def test_a_program_with_a_wrong_setting_ends_with_code_78_and_the_sentence_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Needy(ServiceSettings):
        wanted: str = Field(alias="MEDIA_NEVER_SET_ANYWHERE", examples=["this"])

    with pytest.raises(SystemExit) as ended:
        load_or_exit(Needy)

    assert ended.value.code == 78
    assert "MEDIA_NEVER_SET_ANYWHERE is required and not set. Example: MEDIA_NEVER_SET_ANYWHERE=this" in (
        capsys.readouterr().err
    )
