"""Webhooks: a receiver's URL with its secrets, the events it wants, and its policy.

What is refused here is refused at creation, by name. Whether an address may be connected to is decided again at every
attempt: `adapters/address_guard.py`.
"""

import base64
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Literal
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

from hookline.domain.backoff import RetryPolicy
from hookline.domain.events import EventKind
from hookline.domain.filters import NO_FILTER, Filter
from hookline.domain.ids import WebhookId
from hookline.errors import Invalid

MAX_URL: Final = 2048
MAX_HEADERS: Final = 20
MAX_HEADER_VALUE: Final = 4096
MAX_DESCRIPTION: Final = 1000
DEFAULT_TIMEOUT_SECONDS: Final = 15
MAX_TIMEOUT_SECONDS: Final = 30
MIN_RATE_PER_SECOND: Final = 0.01
MAX_RATE_PER_SECOND: Final = 10_000

#: Header names that are ours: they describe the body, frame the message, or belong to the connection. A webhook's own
#: value would be wrong for every body, or break the request. Source: RFC 9110, 7 and 8; RFC 9112, 6 and 9; RFC 9530.
RESERVED_HEADERS: Final = frozenset(
    {"content-digest", "content-encoding", "content-length", "content-md5", "content-range", "content-type", "digest"}
    | {"repr-digest", "transfer-encoding", "trailer", "te", "host", "connection", "keep-alive", "upgrade", "expect"}
    | {"http2-settings", "accept-encoding", "user-agent"}
)
#: What stands for a secret in an answer.
MASK: Final = "***"
#: A secret that is shorter is not looked for in the texts of others: it would be found everywhere.
_SHORTEST_SECRET: Final = 4
#: A part of a path that is a token and no word: it is long, or has a digit in it.
_PATH_TOKEN: Final = re.compile(r"[^/]{16,}|(?=[^/]*\d)[^/]{6,}")
_RESERVED_PREFIXES: Final = ("webhook-", "hookline-", "proxy-")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")  # RFC 9110, 5.6.2
_VISIBLE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_HOST: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_MAX_HOST: Final = 254  # with the dot at its end
#: A host whose last label is a number is an IPv4 address or nothing (URL Standard, "ends in a number").
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_URL_CHARACTERS: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header that a webhook wants to see."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What signatures are made with. `expires_at` is set on one that is being replaced."""

    value: str  # whsec_...
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a URL leads. `path` and query are kept byte for byte; credentials have left it for `basic`."""

    scheme: Literal["http", "https"]
    host: str  # without brackets
    port: int
    path: str
    basic: str | None  # value of Authorization


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """A receiver of events, as it is kept."""

    id: WebhookId
    url: str
    events: tuple[EventKind, ...]  # in the order given
    description: str
    bearer_token: str | None
    headers: tuple[Header, ...]
    retry_policy: RetryPolicy
    timeout_seconds: int
    secrets: tuple[Secret, ...]  # the current one first
    is_active: bool
    disabled_reason: str
    created_at: datetime
    modified_at: datetime
    batched: bool = False  # events gather and go many in one POST
    ordered: bool = False  # events of one subject go one after the other
    rate_limit_per_second: float | None = None  # attempts
    filter: Filter = NO_FILTER
    rests_until: datetime | None = None  # its host does not answer and is left alone
    failing_since: datetime | None = None  # the first failure after the last success
    warned_at: datetime | None = None  # when its owner was told of that

    @cached_property
    def time_limit(self) -> timedelta:
        """How long an attempt may take."""
        return timedelta(seconds=self.timeout_seconds)

    @cached_property
    def target(self) -> Target:
        """Where its URL leads."""
        return parse_url(self.url)

    @cached_property
    def secret_texts(self) -> tuple[str, ...]:
        """All of its requests that only admin keys may see, the longest first, also as JSON escapes it."""
        path, _, query = self.target.path.partition("?")
        found = {
            *(self.url, self.target.path, path, query, self.bearer_token or ""),
            *(self.target.basic or "").split()[1:],
            *(header.value for header in self.headers),
            *(secret.value for secret in self.secrets),
            *(part for part in path.split("/") if _PATH_TOKEN.fullmatch(part)),
            *(value for _, value in parse_qsl(query)),
        }
        found |= {secret.replace("/", "\\/") for secret in found}
        return tuple(sorted((each for each in found if len(each) >= _SHORTEST_SECRET), key=len, reverse=True))

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """The secrets to sign with at `now`."""
        return tuple(secret.value for secret in self.secrets if secret.expires_at is None or now < secret.expires_at)


def masked_url(url: str) -> str:
    """The URL as those may see it who may see no secrets: scheme, host and port, then `/***`.

    User, password, path and query are left out, whatever they are: the address of a hook at Slack or Zapier is its key.
    """
    scheme, separator, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return f"{scheme}{separator}{authority.rpartition('@')[2]}/{MASK}"


def without_secrets(text: str, webhook: Webhook) -> str:
    """A receiver's text with this webhook's secrets replaced by `***`: a receiver may echo a request."""
    for secret in webhook.secret_texts:
        text = text.replace(secret, MASK)
    return text


def gone_because(webhook: Webhook | None) -> str:
    """Why nothing is sent to a webhook that was deleted (None) or disabled: what follows "because"."""
    if webhook is None:
        return "the webhook was deleted"
    return f"the webhook was disabled: {webhook.disabled_reason.rstrip('.')}"


def parse_url(url: str) -> Target:
    """Where `url` leads.

    Raises:
        Invalid: not an absolute http(s) URL in ASCII, or with a fragment.
    """
    if not url:
        raise Invalid.field("url", "expected http://... or https://..., got an empty text.")
    if len(url) > MAX_URL:
        raise Invalid.field("url", f"expected at most {MAX_URL} characters, got {len(url)}.", code="out_of_range")
    if not _URL_CHARACTERS.fullmatch(url) or "\\" in url:
        raise Invalid.field(
            "url", "expected ASCII without spaces; write other characters as %XX, and names of hosts in punycode."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid.field("url", f"expected a host and a port from 1 to 65535, got {url[:60]!r}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Invalid.field("url", f"expected http://... or https://..., got {url[:60]!r}.")
    if "[" in parts.netloc and ":" not in parts.hostname:  # an IPvFuture of RFC 3986, which nobody can resolve
        raise Invalid.field("url", f"expected an IPv6 address in brackets, got [{parts.hostname[:60]}].")
    if "#" in url:
        raise Invalid.field("url", "expected no fragment: what follows # is never sent.")
    if port == 0:
        raise Invalid.field("url", "expected a port from 1 to 65535, got 0.")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Target(
        scheme=scheme,
        host=parts.hostname,
        port=port or (443 if scheme == "https" else 80),
        path=(parts.path or "/") + ("?" + url.partition("?")[2] if "?" in url else ""),
        basic=_basic(parts.username, parts.password),
    )


def require_orderly(webhook: Webhook) -> None:
    """Refuse an order where there is none to keep."""
    if webhook.ordered and webhook.batched:
        raise Invalid.field(
            "ordered", "expected false while batched is true: a batch holds many subjects, and has no order of its own."
        )


def parse_rate(per_second: float) -> float | None:
    """The limit that this asks for; None for no limit.

    Raises:
        Invalid: no such limit can be kept.
    """
    if per_second == 0:
        return None
    if not MIN_RATE_PER_SECOND <= per_second <= MAX_RATE_PER_SECOND:
        raise Invalid.field(
            "rateLimitPerSecond",
            f"expected {MIN_RATE_PER_SECOND} to {MAX_RATE_PER_SECOND} attempts a second, or 0 for no limit,"
            f" got {per_second:g}.",
            code="out_of_range",
        )
    return float(per_second)


def _basic(username: str | None, password: str | None) -> str | None:
    """RFC 7617, of userinfo whose %XX are decoded."""
    if username is None:
        return None
    credentials = unquote_to_bytes(username) + b":" + unquote_to_bytes(password or "")
    return "Basic " + base64.b64encode(credentials).decode()


def require_sendable(target: Target, bearer_token: str | None, headers: Iterable[Header]) -> None:
    """Refuse hosts that cannot be, headers that are none or ours, and two sources for `Authorization`."""
    _require_host(target)
    sources = [name for name, there in (("url", target.basic), ("auth", bearer_token)) if there is not None]
    if bearer_token is not None and not (len(bearer_token) <= MAX_HEADER_VALUE and _VISIBLE.fullmatch(bearer_token)):
        raise Invalid.field("auth.token", f"expected at most {MAX_HEADER_VALUE} visible ASCII characters.")
    for index, header in enumerate(headers):
        _require_header(header, index)
        if header.key.lower() == "authorization":
            sources.append("headers")
    if len(sources) > 1:
        raise Invalid.field(
            sources[-1], f"Authorization can have one source only; {' and '.join(sources)} each give one."
        )


def parse_bearer_token(token: str) -> str:
    """The token of `auth`, which goes out behind the word Bearer.

    Raises:
        Invalid: it holds a space, so no receiver can read it (RFC 6750, 2.1).
    """
    if any(character.isspace() for character in token):
        raise Invalid.field(
            "auth.token", "expected the token alone, without the word Bearer or another scheme, and without spaces."
        )
    return token


def _require_host(target: Target) -> None:
    """Refuse a host that no resolver can know (RFC 1035, 2.3.4)."""
    if target.host in ("http", "https") and target.path.startswith("//"):
        raise Invalid.field("url", "expected one scheme, got two.")
    if ":" in target.host:  # an IPv6 address, which urlsplit has checked
        return
    if len(target.host) > _MAX_HOST or not _HOST.fullmatch(target.host):
        raise Invalid.field("url", f"expected a name of a host that can be resolved, got {target.host[:60]!r}.")
    if _ENDS_IN_NUMBER.fullmatch(target.host) and not _is_ipv4(target.host):
        raise Invalid.field(
            "url", f"expected an IPv4 address of four numbers up to 255, or a name, got {target.host[:60]!r}."
        )


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _require_header(header: Header, index: int) -> None:
    if index >= MAX_HEADERS:
        raise Invalid.field("headers", f"expected at most {MAX_HEADERS}.", code="out_of_range")
    if not _TOKEN.fullmatch(header.key):
        raise Invalid.field(f"headers[{index}].key", f"expected a header name, got {header.key[:40]!r}.")
    name = header.key.lower()
    if name in RESERVED_HEADERS or name.startswith(_RESERVED_PREFIXES):
        raise Invalid.field(f"headers[{index}].key", f"{header.key} is set by Hookline itself.")
    if len(header.value) > MAX_HEADER_VALUE or (header.value and not _VISIBLE.fullmatch(header.value)):
        raise Invalid.field(
            f"headers[{index}].value", f"expected at most {MAX_HEADER_VALUE} visible ASCII characters on one line."
        )


def parse_events(names: Iterable[str]) -> tuple[EventKind, ...]:
    """The events of a webhook, in the order given.

    Raises:
        Invalid: an unknown name, one that is there twice, or none at all.
    """
    known = {kind.value: kind for kind in EventKind}
    kinds: list[EventKind] = []
    for index, name in enumerate(names):
        if name not in known:
            raise Invalid.field(f"events[{index}]", f"expected one of {', '.join(known)}, got {name[:40]!r}.")
        if known[name] in kinds:
            raise Invalid.field(f"events[{index}]", f"{name} is there twice.")
        kinds.append(known[name])
    if not kinds:
        raise Invalid.field("events", f"expected at least one of {', '.join(known)}.")
    return tuple(kinds)
