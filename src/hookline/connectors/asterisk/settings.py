"""The settings of one Asterisk: what is asked for, and what is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from phonenumbers import SUPPORTED_REGIONS

from hookline.errors import Invalid, MissingField

_PORT: Final = 5038
_LONGEST: Final = 255
_MOST: Final = 100
_AUTHS: Final = ("plain", "md5")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsteriskSettings:
    """Where an Asterisk is, who we are there, and what its names mean."""

    host: str
    port: int
    username: str
    secret: str
    auth: str  # `plain`, or `md5`: only a digest of the secret is sent
    tls: bool
    tls_verify: bool
    trunk_channel_prefixes: tuple[str, ...]
    inbound_contexts: tuple[str, ...]
    outbound_contexts: tuple[str, ...]
    region: str

    @property
    def place(self) -> str:
        """Where it is, for people and logs."""
        return f"{self.host}:{self.port}"


def read_settings(given: Mapping[str, Any]) -> AsteriskSettings:
    """The settings, complete.

    Raises:
        Invalid: one is missing, wrong or unknown.
    """
    unknown = sorted(set(given) - set(_NAMES))
    if unknown:
        raise _wrong(unknown[0], f"unknown; there are {', '.join(_NAMES)}.")
    missing = [f"settings.{name}" for name in ("host", "username", "secret") if given.get(name) is None]
    if missing:
        raise MissingField(*missing)
    return AsteriskSettings(
        host=_host(given),
        port=_port(given),
        username=_word(given, "username", ""),
        secret=_word(given, "secret", ""),
        auth=_auth(given),
        tls=_switch(given, "tls", default=False),
        tls_verify=_switch(given, "tlsVerify", default=True),
        trunk_channel_prefixes=_words(given, "trunkChannelPrefixes", "PJSIP/trunk-"),
        inbound_contexts=_words(given, "inboundContexts", "from-trunk"),
        outbound_contexts=_words(given, "outboundContexts", "from-internal"),
        region=_region(given),
    )


def _host(given: Mapping[str, Any]) -> str:
    host = _word(given, "host", "").strip()
    if any(character.isspace() or character in "/@?#" for character in host) or host.count(":") == 1:
        raise _wrong("host", f"expected a name or an address without a port, got {host[:60]!r}.")
    return host


def written(settings: AsteriskSettings) -> Mapping[str, Any]:
    """The settings as the API spells them."""
    values = {spelt: getattr(settings, name) for spelt, name in _NAMES.items()}
    return {spelt: list(value) if isinstance(value, tuple) else value for spelt, value in values.items()}


#: As the API spells it -> the field.
_NAMES: Final[Mapping[str, str]] = {
    "host": "host",
    "port": "port",
    "username": "username",
    "secret": "secret",
    "auth": "auth",
    "tls": "tls",
    "tlsVerify": "tls_verify",
    "trunkChannelPrefixes": "trunk_channel_prefixes",
    "inboundContexts": "inbound_contexts",
    "outboundContexts": "outbound_contexts",
    "region": "region",
}


def _wrong(name: str, message: str) -> Invalid:
    return Invalid.field(f"settings.{name}", message)


def _word(given: Mapping[str, Any], name: str, default: str) -> str:
    value = given.get(name)
    return default if value is None else _line(name, value)


def _line(name: str, value: Any) -> str:
    """Text that fits on a line: what is sent to Asterisk must not become another line."""
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= len(value) <= _LONGEST or not value.isprintable():
        came = "something else" if name == "secret" else repr(value)
        raise _wrong(name, f"expected a text of 1 to {_LONGEST} characters in one line, got {came}.")
    return value


def _words(given: Mapping[str, Any], name: str, default: str) -> tuple[str, ...]:
    values = given.get(name)
    if values is None:
        return (default,)
    if not isinstance(values, list) or not 1 <= len(values) <= _MOST:
        raise _wrong(name, f"expected a list of 1 to {_MOST} texts, got {values!r}.")
    return tuple(dict.fromkeys(_line(f"{name}[{place}]", value) for place, value in enumerate(values)))


def _port(given: Mapping[str, Any]) -> int:
    port = given.get("port", _PORT)
    if port is None:
        return _PORT
    if type(port) is not int or not 1 <= port <= 65535:
        raise _wrong("port", f"expected a whole number from 1 to 65535, got {port!r}.")
    return port


def _switch(given: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _wrong(name, f"expected true or false, got {value!r}.")
    return value


def _auth(given: Mapping[str, Any]) -> str:
    auth = given.get("auth")
    if auth is None:
        return _AUTHS[0]
    if auth not in _AUTHS:
        raise _wrong("auth", f"expected one of {', '.join(_AUTHS)}, got {auth!r}.")
    return str(auth)


def _region(given: Mapping[str, Any]) -> str:
    region = given.get("region")
    if region in (None, ""):
        return ""
    if not isinstance(region, str) or region.upper() not in SUPPORTED_REGIONS:
        raise _wrong("region", f'expected a country of ISO 3166-1 such as "GB", got {region!r}.')
    return region.upper()
