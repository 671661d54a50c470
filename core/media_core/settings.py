"""Settings by environment: read once at start, checked whole, and said in sentences where they are wrong.

Each program has one class on top of `ServiceSettings`. A field's alias is the variable's name, its description is
the row in the README's table, and its first example is what a right value looks like.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, SettingsConfigDict

from media_core.names import CONFIGURATION_EXIT_CODE

_POSTGRESQL = ("postgresql://", "postgresql+asyncpg://", "postgres://")
DNS_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
LOG_LEVELS = "^(debug|info|warning|error)$"


class SettingsInvalid(Exception):
    """At least one setting is wrong; the text names each, says what is wrong, and shows a right value."""


class ServiceSettings(BaseSettings):
    """What every program of the service is told."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, case_sensitive=True, env_ignore_empty=True)

    namespace: str = Field(
        "media",
        alias="MEDIA_NAMESPACE",
        description="Kubernetes namespace of the assets, pools and worker Jobs.",
        pattern=DNS_LABEL,
        examples=["media"],
    )
    log_level: str = Field(
        "info",
        alias="MEDIA_LOG_LEVEL",
        description="Least severe log line that is written: debug, info, warning or error.",
        pattern=LOG_LEVELS,
        examples=["info"],
    )


class StorageSettings(ServiceSettings):
    """Where the media are."""

    s3_bucket_media: str = Field(
        alias="S3_BUCKET_MEDIA",
        description="Bucket of the media.",
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        examples=["docfliq-user-content"],
    )
    aws_region: str = Field(
        "ap-south-1",
        alias="AWS_REGION",
        description="Region of the bucket.",
        pattern=r"^[a-z0-9-]{2,32}$",
        examples=["eu-central-1"],
    )
    aws_endpoint_url_s3: str | None = Field(
        None,
        alias="AWS_ENDPOINT_URL_S3",
        description="S3 endpoint other than AWS's own.",
        pattern=r"^https?://[^\s/?#]+/?$",
        examples=["https://s3.example.org"],
    )
    aws_access_key_id: SecretStr | None = Field(
        None,
        alias="AWS_ACCESS_KEY_ID",
        description="Access key; without one the pod's own role is used.",
        examples=["AKIAIOSFODNN7EXAMPLE"],
    )
    aws_secret_access_key: SecretStr | None = Field(
        None,
        alias="AWS_SECRET_ACCESS_KEY",
        description="Secret of the access key.",
        examples=["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"],
    )


class DatabaseSettings(ServiceSettings):
    """Where the ledger is."""

    database_url: SecretStr = Field(
        alias="MEDIA_DATABASE_URL",
        description="PostgreSQL of the ledger.",
        examples=["postgresql://media:secret@db.example.org:5432/media"],
    )

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, given: SecretStr) -> SecretStr:
        if not given.get_secret_value().startswith(_POSTGRESQL):
            raise ValueError(f"it has to begin with one of {', '.join(_POSTGRESQL)}")
        return given


S = TypeVar("S", bound=ServiceSettings)


def load(cls: type[S]) -> S:
    """The settings of a program. Raises SettingsInvalid."""
    try:
        return cls()
    except ValidationError as error:
        raise SettingsInvalid("\n".join(_sentence(cls, found) for found in error.errors())) from None


def load_or_exit(cls: type[S]) -> S:
    """The settings of a program that begins; where one is wrong, its sentence on stderr and the end with code 78."""
    try:
        return load(cls)
    except SettingsInvalid as error:
        print(error, file=sys.stderr)
        raise SystemExit(CONFIGURATION_EXIT_CODE) from None


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One row of the README's table. `default` is None where the setting is required."""

    name: str
    default: str | None
    description: str


def documented(cls: type[ServiceSettings]) -> list[SettingDoc]:
    """Every setting of a program, sorted by name."""
    rows = [
        SettingDoc(
            name=_name(field, key),
            default=None if field.is_required() else _shown(field.get_default(call_default_factory=True)),
            description=field.description or "",
        )
        for key, field in cls.model_fields.items()
    ]
    return sorted(rows, key=lambda row: row.name)


def _sentence(cls: type[ServiceSettings], found: Any) -> str:
    place = str(found["loc"][0]) if found["loc"] else ""
    said = found["msg"].removeprefix("Value error, ")
    for key, field in cls.model_fields.items():
        if place in (key, _name(field, key)):
            example = f" Example: {_name(field, key)}={field.examples[0]}" if field.examples else ""
            wrong = "is required and not set" if found["type"] == "missing" else f"is wrong: {said}"
            return f"Setting {_name(field, key)} {wrong.rstrip('.')}.{example}"
    return f"The settings do not fit together: {said}"


def _name(field: FieldInfo, key: str) -> str:
    return field.alias or key.upper()


def _shown(default: Any) -> str:
    if default is None or default is PydanticUndefined:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, list | tuple):
        return ",".join(str(item) for item in default)
    return str(default)
