"""What has to be known of a FreeSWITCH."""

from collections.abc import Mapping
from re import compile as pattern
from typing import Annotated, Any, Final

import msgspec
from phonenumbers import SUPPORTED_REGIONS

from hookline.errors import Invalid

_UNKNOWN: Final = pattern(r"unknown field `([^`]*)`")
_PATH: Final = pattern(r" - at `\$\.([^`\[]*)")

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class FreeSwitchSettings(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All of it has a default: a FreeSWITCH as it is shipped."""

    username: str = ""  # with which mod_json_cdr authenticates; "" when it does not
    password: str = ""
    esl_host: str = ""  # "" when there is no event socket
    esl_port: Port = 8021
    esl_password: str = ""
    inbound_contexts: tuple[str, ...] = ("public",)  # in which calls from outside arrive
    outbound_contexts: tuple[str, ...] = ("default",)  # in which our phones call
    trunk_channel_prefixes: tuple[str, ...] = ("sofia/external/",)  # of the legs that lead outside
    log_b_leg: bool = True  # whether mod_json_cdr tells of the legs that are called, too
    region: str = ""  # ISO 3166-1, where numbers without a country code are at home

    @property
    def place(self) -> str:
        """Where the event socket is."""
        return f"{self.esl_host}:{self.esl_port}"


def read_settings(given: Mapping[str, Any]) -> FreeSwitchSettings:
    """The settings, complete.

    Raises:
        Invalid: one is wrong, unknown, or of no use without another; names it as `settings.name`.
    """
    present = {name: value for name, value in given.items() if value is not None}
    try:
        settings = msgspec.convert(present, FreeSwitchSettings)
    except msgspec.ValidationError as problem:
        raise _refusal(str(problem)) from None
    if settings.region.upper() not in {"", *SUPPORTED_REGIONS}:
        raise Invalid.field(
            "settings.region", f"expected a country of ISO 3166-1 such as 'GB', got {settings.region[:40]!r}."
        )
    for first, second in (("username", "password"), ("password", "username"), ("eslHost", "eslPassword")):
        if present.get(first) and not present.get(second):
            raise Invalid.field(f"settings.{second}", f"is needed with {first}.")
    if any(letter in settings.esl_password for letter in "\r\n\0"):
        raise Invalid.field("settings.eslPassword", "expected one line.")
    return msgspec.structs.replace(settings, region=settings.region.upper())


def written(settings: FreeSwitchSettings) -> Mapping[str, Any]:
    """As they are kept: `read_settings` reads them again."""
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings))
    return values


def _refusal(problem: str) -> Invalid:
    if unknown := _UNKNOWN.search(problem):
        return Invalid.field(f"settings.{unknown[1]}", "there is no such setting.")
    at = _PATH.search(problem)
    what = problem.partition(" - at ")[0]
    return Invalid.field(f"settings.{at[1]}" if at else "settings", f"{what[:1].lower()}{what[1:]}.".replace("`", ""))
