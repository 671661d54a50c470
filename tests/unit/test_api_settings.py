"""Settings: documented, checked, and said in sentences. And the log, which keeps secrets."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from media_api.settings import ApiSettings
from media_core.asset import AssetType
from media_core.logs import without_queries
from media_core.settings import SettingsInvalid, documented, load

SECRET = "x" * 32
RIGHT = {
    "MEDIA_DATABASE_URL": "postgresql://media:hunter2@localhost/media",
    "S3_BUCKET_MEDIA": "media-tests",
    "MEDIA_JWT_SECRET": SECRET,
}


def made(**changed: Any) -> ApiSettings:
    values = {name: value for name, value in {**RIGHT, **changed}.items() if value is not None}

    class Given(ApiSettings):
        """Takes its values from here and not from the environment of the tests."""

        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **_sources: Any) -> Any:
            return (lambda: values,)

    return load(Given)


def test_three_settings_are_enough() -> None:
    settings = made()
    assert settings.port == 8005
    assert settings.limits.max_bytes.keys() == set(AssetType)
    assert settings.cors_origins == ()


def test_every_setting_has_a_name_a_description_and_an_example() -> None:
    rows = documented(ApiSettings)
    assert len({row.name for row in rows}) == len(rows) == len(ApiSettings.model_fields)
    for row in rows:
        assert row.name.isupper()
        assert row.description.endswith("."), row.name
    assert all(field.examples for field in ApiSettings.model_fields.values())
    assert {row.name: row.default for row in rows}["MEDIA_PORT"] == "8005"
    assert {row.name: row.default for row in rows}["MEDIA_DATABASE_URL"] is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"MEDIA_DATABASE_URL": None}, "Setting MEDIA_DATABASE_URL is required and not set. Example: "),
        ({"MEDIA_DATABASE_URL": "mysql://hunter2"}, "Setting MEDIA_DATABASE_URL is wrong: it has to begin with"),
        ({"MEDIA_PORT": "many"}, "Setting MEDIA_PORT is wrong: "),
        ({"MEDIA_PORT": "70000"}, "Example: MEDIA_PORT=8005"),
        ({"MEDIA_JWT_SECRET": "hunter2"}, "Setting MEDIA_JWT_SECRET is wrong: a secret of HS256 tokens has at least"),
        ({"MEDIA_JWT_SECRET": None}, "exactly one of MEDIA_JWT_SECRET, MEDIA_JWKS_URL and MEDIA_JWKS_FILE"),
        ({"MEDIA_JWKS_URL": "https://a.example.org"}, "2 are. Example: MEDIA_JWKS_URL="),
        ({"MEDIA_CORS_ORIGINS": "https://a.example.org/path"}, "Setting MEDIA_CORS_ORIGINS is wrong: "),
        ({"MEDIA_PUBLIC_BASE_URL": "cdn"}, "Setting MEDIA_PUBLIC_BASE_URL is wrong: "),
        ({"S3_BUCKET_MEDIA": "A_B"}, "Setting S3_BUCKET_MEDIA is wrong: "),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_wrong_and_a_right_one(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        made(**changed)
    assert said in str(caught.value)
    assert "Example: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_several_wrong_settings_are_all_said() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        made(MEDIA_PORT="x", AWS_REGION="!")
    assert len(str(caught.value).splitlines()) == 2


def test_origins_are_split_at_commas() -> None:
    settings = made(MEDIA_CORS_ORIGINS="https://a.example.org, http://localhost:3000,")
    assert settings.cors_origins == ("https://a.example.org", "http://localhost:3000")
    assert made(MEDIA_CORS_ORIGINS="*").cors_origins == ("*",)


def test_secrets_do_not_show() -> None:
    assert "hunter2" not in repr(made())
    assert SECRET not in repr(made())


def test_the_log_drops_the_query_of_every_url() -> None:
    line: structlog.typing.EventDict = {
        "event": "GET https://s3.example.org/b/k?X-Amz-Signature=abc failed",
        "url": "http://127.0.0.1:9000/b/k?X-Amz-Credential=x&y=z",
        "count": 3,
        "question": "why?",
    }
    assert without_queries(None, "", line) == {
        "event": "GET https://s3.example.org/b/k failed",
        "url": "http://127.0.0.1:9000/b/k",
        "count": 3,
        "question": "why?",
    }
