"""Every setting: name, type, unit, default, and one sentence. A wrong value stops the start with a sentence.

They come from the environment, or from a TOML file that `HOOKLINE_CONFIG` names and that has the same names; the
environment wins. Nothing below `bootstrap` sees either: parts are given plain values.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from hookline.domain.networks import AllowedNetworks
from hookline.errors import HooklineError

CONFIG: Final = "HOOKLINE_CONFIG"
ROLES: Final = "HOOKLINE_ROLES"
#: Characters of the shortest admin key that is taken: a shorter one could be guessed.
SHORTEST_KEY: Final = 16
MAX_CONNECTIONS: Final = 60_000
_MOST_DIGITS: Final = 9
_SQLITE: Final = "sqlite:///"
#: What SQLAlchemy takes for a database in memory.
_SQLITE_MEMORY: Final = frozenset({"sqlite:", "sqlite://"})
_MEMORY: Final = re.compile(r":memory:|[?&]mode=memory")
_POSTGRES: Final = ("postgresql://", "postgres://")


class Role(StrEnum):
    """A part of the work that a node may have."""

    API = "api"  # takes requests
    DELIVER = "deliver"  # claims what is owed, and sends it
    TIMERS = "timers"  # does what its time has come for: starts of meetings, long work, notifications, tidying


ALL_ROLES: Final = frozenset(Role)


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """Where a PostgreSQL database is, and who may use it: it may have a password, so nobody prints it."""

    url: str = field(repr=False)


class WrongSetting(Exception):
    """A setting that cannot be used. Its text is a sentence that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, for those who document or check it."""

    name: str
    default: str  # as it would be written; "" for none
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What this installation was told."""

    database: Path | PostgresUrl
    host: str
    port: int
    public_url: str
    api_key: str | None
    allowed_networks: AllowedNetworks
    max_webhooks: int
    max_connections: int | None  # None: as many as open files allow, within reason
    retention_days: int
    roles: frozenset[Role]

    @property
    def base_url(self) -> str:
        """Where this machine reaches the server itself."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  read, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


ALL: Final = (
    Setting(
        name="HOOKLINE_DATABASE",
        default="sqlite:///hookline.db",
        meaning="Where everything is kept: a SQLite file, or postgresql://..., which several servers may share.",
    ),
    Setting(name="HOOKLINE_LISTEN", default="127.0.0.1:8000", meaning="Address and port of the API and the pages."),
    Setting(
        name="HOOKLINE_PUBLIC_URL", default="", meaning="How others reach this server, used in links; from the address."
    ),
    Setting(
        name="HOOKLINE_API_KEY",
        default="",
        meaning="An admin key that exists from the start; without it the first start prints one, once.",
    ),
    Setting(
        name="HOOKLINE_ALLOW_NETWORKS",
        default="",
        meaning="Networks (CIDR, comma-separated) that deliveries may reach although they are not public.",
    ),
    Setting(name="HOOKLINE_MAX_WEBHOOKS", default="40", meaning="How many webhooks there may be."),
    Setting(
        name="HOOKLINE_MAX_CONNECTIONS",
        default="",
        meaning="How many clients may be connected; by default as many as open files allow, at most 4000.",
    ),
    Setting(
        name="HOOKLINE_RETENTION_DAYS",
        default="30",
        meaning="Events, deliveries and attempts older than this many days are removed.",
    ),
    Setting(
        name="HOOKLINE_SMTP_URL",
        default="",
        meaning="Where mail goes out, smtp://user:pass@host:587; this version checks it and sends none.",
    ),
    Setting(
        name=ROLES,
        default=",".join(Role),
        meaning="What this node does: api takes requests, deliver sends, timers does what its time has come for.",
    ),
)
_DEFAULTS: Final = {setting.name: setting.default for setting in ALL}


def load_settings(environment: Mapping[str, str]) -> Settings:
    """The settings of this installation.

    Raises:
        WrongSetting: a value that cannot be used, a file that cannot be read, or a name that nobody knows.
    """
    given = {**_DEFAULTS, **_from_file(environment.get(CONFIG))}
    given |= {name: environment[name] for name in _DEFAULTS if name in environment}

    def read(name: str, parse: Callable[[str], Any]) -> Any:
        try:
            return parse(given[name].strip())
        except HooklineError as refusal:
            raise WrongSetting(f"{name}: {refusal.fields[0].message if refusal.fields else refusal.message}") from None
        except ValueError as problem:
            raise WrongSetting(f"{name}: {problem}") from None

    host, port = read("HOOKLINE_LISTEN", _listen)
    read("HOOKLINE_SMTP_URL", _smtp)
    own_url = f"http://{given['HOOKLINE_LISTEN'].strip()}"
    database = read("HOOKLINE_DATABASE", database_at)
    return Settings(
        database=database,
        host=host,
        port=port,
        public_url=read("HOOKLINE_PUBLIC_URL", _url) or own_url,
        api_key=read("HOOKLINE_API_KEY", _key),
        allowed_networks=read("HOOKLINE_ALLOW_NETWORKS", _networks),
        max_webhooks=read("HOOKLINE_MAX_WEBHOOKS", lambda text: _whole(text, 10_000)),
        max_connections=read("HOOKLINE_MAX_CONNECTIONS", lambda text: _whole(text, MAX_CONNECTIONS) if text else None),
        retention_days=read("HOOKLINE_RETENTION_DAYS", lambda text: _whole(text, 3650)),
        roles=read(ROLES, lambda text: _roles(text, database)),
    )


def _from_file(path: str | None) -> dict[str, str]:
    if not path:
        return {}
    try:
        values = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as problem:
        raise WrongSetting(f"{CONFIG}: cannot read {path}: {problem.strerror}.") from None
    except ValueError as problem:
        raise WrongSetting(f"{CONFIG}: cannot read {path}: it is no TOML: {problem}.") from None
    for name, value in values.items():
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise WrongSetting(f"{name}: expected text or a whole number in {path}.")
        if name not in _DEFAULTS:
            raise WrongSetting(f"{name}: there is no such setting. There are: {', '.join(_DEFAULTS)}.")
    return {name: str(value) for name, value in values.items()}


def strangers(environment: Mapping[str, str]) -> list[str]:
    """Names in the environment that look like settings of ours and are none: a spelling mistake, most likely."""
    return sorted(
        name for name in environment if name.startswith("HOOKLINE_") and name not in _DEFAULTS and name != CONFIG
    )


def database_at(text: str) -> Path | PostgresUrl:
    """The database that a URL names.

    Raises:
        ValueError: it names none. The sentence has no password in it.
    """
    if text.startswith(_POSTGRES):
        return _postgres(text)
    if text in _SQLITE_MEMORY or (text.startswith("sqlite:") and _MEMORY.search(unquote(text))):
        raise ValueError("expected a file, sqlite:///PATH: what is kept in memory is lost when the process ends.")
    if not text.startswith(_SQLITE):
        got = "something else" if set("@=?") & set(text) else repr(text)
        raise ValueError(f"expected sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME, got {got}.")
    return _sqlite(text.removeprefix(_SQLITE))


def _sqlite(text: str) -> Path:
    """The path of a file. SQLite would read some paths as options of its own; none of them reaches it."""
    if set("?#") & set(text):
        raise ValueError("expected sqlite:///PATH without parameters; in a path, write ? as %3F and # as %23.")
    try:
        path = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("expected a path in UTF-8, got a %XX that is none.") from None
    if path.startswith("file:"):
        raise ValueError("expected sqlite:///PATH, got a file: URI; write the path alone.")
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise ValueError(f"expected a path without control characters, got {path[:80]!r}.")
    if path.endswith("/") or path.rpartition("/")[2] in {"", ".", ".."}:
        raise ValueError(f"expected the path of a file, got {text[:80]!r}, which is a directory or nothing.")
    return Path(path)


def _postgres(text: str) -> PostgresUrl:
    """What is wrong with a URL is told without it: it may have a password."""
    from hookline.adapters.sql.postgres_settings import problem_of_url  # noqa: PLC0415  see `adapters.sql.places`

    after = text.partition("://")[2]
    authority = re.split(r"[/?#]", after, maxsplit=1)[0]
    if authority.count("@") > 1 or "@" in after[len(authority) :]:
        raise ValueError("in a name or a password, write @ as %40, / as %2F, ? as %3F and # as %23.")
    problem = problem_of_url(text)
    if problem:
        raise ValueError(problem)
    return PostgresUrl(text)


def _listen(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.path or parts.username is not None:
        raise ValueError(f"expected ADDRESS:PORT such as 127.0.0.1:8000, got {text!r}.")
    return host, port


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_one = False
    if text and (not is_one or parts.query or parts.fragment):
        raise ValueError(f"expected http://... or https://..., got {text!r}.")
    return text.rstrip("/")


def _key(text: str) -> str | None:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("expected visible ASCII characters.")
    if 0 < len(text) < SHORTEST_KEY:
        raise ValueError(
            f"expected at least {SHORTEST_KEY} characters, got {len(text)}: a shorter key can be guessed. Make one with"
            " `openssl rand -hex 24`."
        )
    return text or None


def _smtp(text: str) -> None:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("smtp", "smtps") or not parts.hostname):
        raise ValueError(
            "expected smtp://HOST:PORT or smtps://HOST:PORT, with USER:PASSWORD@ before the host if needed."
        )


def _roles(text: str, database: Path | PostgresUrl) -> frozenset[Role]:
    names = [name.strip() for name in text.split(",")]
    if not set(names) <= set(Role):
        raise ValueError(f"expected one or more of {', '.join(Role)}, with commas between them, got {text[:40]!r}.")
    roles = frozenset(map(Role, names))
    if roles != ALL_ROLES and not isinstance(database, PostgresUrl):
        raise ValueError(
            f"expected {','.join(Role)}, got {text!r}: one process alone serves a SQLite file, so nobody else would do"
            " the rest. Nodes share their work over PostgreSQL."
        )
    return roles


def _networks(text: str) -> AllowedNetworks:
    return AllowedNetworks([each.strip() for each in text.split(",") if each.strip()])


def _whole(text: str, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and 1 <= int(text) <= highest):
        raise ValueError(f"expected a whole number from 1 to {highest}, got {text[:40]!r}.")
    return int(text)
