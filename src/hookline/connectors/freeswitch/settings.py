"""What has to be known of a FreeSWITCH."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from hookline.connectors import reading
from hookline.errors import Invalid

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class FreeSwitchSettings(reading.Settings, rename="camel", frozen=True, kw_only=True):
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

    @property
    def place(self) -> str:
        """Where the event socket is."""
        return f"{self.esl_host}:{self.esl_port}"


def read_settings(given: Mapping[str, Any]) -> FreeSwitchSettings:
    """The settings, complete.

    Raises:
        Invalid: one is wrong, unknown, or of no use without another; names it as `settings.name`.
    """
    settings = reading.read_settings(given, FreeSwitchSettings)
    for first, second in (("username", "password"), ("password", "username"), ("eslHost", "eslPassword")):
        if given.get(first) and not given.get(second):
            raise Invalid.field(f"settings.{second}", f"is needed with {first}.")
    if any(letter in settings.esl_password for letter in "\r\n\0"):
        raise Invalid.field("settings.eslPassword", "expected one line.")
    return settings


def written(settings: FreeSwitchSettings) -> Mapping[str, Any]:
    """As they are kept: `read_settings` reads them again."""
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(settings))
    return values
