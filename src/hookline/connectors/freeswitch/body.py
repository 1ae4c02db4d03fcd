"""What mod_json_cdr posts, unpacked: one leg, when it is over. What it means: `words.py`.

It has three forms: the JSON itself, or `cdr=` and the JSON, percent-encoded or in base64. The Content-Type tells
nothing: with `disable-100-continue` it is the same for all. Source: mod_json_cdr.c, switch_ivr.c of FreeSWITCH.
"""

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from re import compile as pattern
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

import msgspec

from hookline.connectors.freeswitch.settings import FreeSwitchSettings
from hookline.errors import Invalid, Unauthorized

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: The year 9998, in microseconds since 1970.
_LAST: Final = 253_370_764_800_000_000
_MOST_NAME: Final = 200
#: Where variables begin in a record, what follows them, and what is between two of them.
_VARIABLES_START: Final = '"variables":{"'
_APP_LOG: Final = ',"app_log":{'
_CALLFLOW: Final = ',"callflow":['
_NEXT_VARIABLE: Final = pattern(r'","(?=[^"\\\x00-\x1f]{1,200}":")')
_AFTER_NAME: Final = '":"'
#: How several values of one variable are written: ARRAY::one|:two.
_ARRAY: Final = "ARRAY::"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is known of a leg at one time: another one begins with each transfer."""

    uuid: str
    channel: str
    context: str
    caller: str  # the number that is shown
    username: str
    destination: str
    times: Mapping[str, Any] = field(default_factory=dict)
    originators: tuple["Profile", ...] = ()
    originatees: tuple["Profile", ...] = ()

    def time(self, name: str) -> datetime | None:
        """The instant at which something happened to the leg; None: never."""
        return instant(self.times.get(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One leg that is over."""

    uuid: str
    variables: Mapping[str, str]
    profiles: tuple[Profile, ...]  # the first is the oldest
    log: tuple[tuple[str, str, datetime | None], ...] = ()  # applications: name, argument, when by the system's clock

    def get(self, name: str) -> str:
        """A variable; "" when it is not there."""
        return self.variables.get(name, "")

    def all(self, name: str) -> Sequence[str]:
        """All values of a variable that may have several."""
        return values_of(self.get(name))

    def time(self, name: str) -> datetime | None:
        """When this happened first."""
        return min((at for profile in self.profiles if (at := profile.time(name))), default=None)

    def epoch(self, name: str) -> datetime | None:
        """An instant among the variables that is told in whole seconds, such as `cc_queue_joined`."""
        seconds = self.get(f"{name}_epoch")
        return instant(f"{seconds}000000") if seconds else None

    def stamp(self, name: str) -> datetime | None:
        """An instant among the variables, such as `end`."""
        return instant(self.get(f"{name}_uepoch"))

    @property
    def began_at(self) -> datetime:
        """When the leg came to be."""
        return self._needed(self.time("created_time") or self.stamp("start"), "created_time")

    @property
    def ended_at(self) -> datetime:
        """When it hung up."""
        ends = [at for profile in self.profiles if (at := profile.time("hangup_time"))]
        return self._needed(max(ends, default=None) or self.stamp("end"), "hangup_time")

    @property
    def applications(self) -> Sequence[tuple[str, str, datetime | None]]:
        """What the dial plan did: name, argument, when.

        Channels have times of FreeSWITCH's own clock, the log of applications those of the system, which go apart when
        the latter is set (`fsctl sync_clock`). A call that comes in has its first application at once, so that one
        tells by how much. On other legs the two are taken to agree unless the log begins outside the leg's life; then
        it begins with the answer. Source: switch_core_session_exec and switch_micro_time_now of FreeSWITCH.
        """
        began_at = min((at for *_, at in self.log if at is not None), default=None)
        if began_at is None:
            return self.log
        from_start = began_at - self.began_at
        if self.get("direction") != "inbound" and timedelta(0) <= from_start <= self.ended_at - self.began_at:
            return self.log
        answered_at = None if self.get("direction") == "inbound" else self.time("answered_time")
        ahead = began_at - (answered_at or self.began_at)
        return [(name, argument, None if at is None else at - ahead) for name, argument, at in self.log]

    @property
    def first(self) -> Profile:
        """What was known at the beginning."""
        return self.profiles[0]

    @property
    def last(self) -> Profile:
        """What was known at the end."""
        return self.profiles[-1]

    def _needed(self, at: datetime | None, name: str) -> datetime:
        if at is None:
            raise Invalid.field(f"callflow[0].times.{name}", "expected microseconds since 1970.")
        return at


def require_credentials(authorization: str, settings: FreeSwitchSettings) -> None:
    """Basic credentials, when there should be some.

    Raises:
        Unauthorized: they are missing or wrong.
    """
    if not settings.username:
        return
    expected = base64.b64encode(f"{settings.username}:{settings.password}".encode())
    scheme, _, given = authorization.strip().partition(" ")
    if scheme.lower() != "basic" or not hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected):
        raise Unauthorized(
            "The user name and password are not those of this connector.",
            hint='They are the param "cred" of json_cdr.conf.xml, with auth-scheme basic.',
        )


def read_record(body: bytes) -> Record:
    """One leg.

    Raises:
        Invalid: it is not what mod_json_cdr posts.
    """
    whole = _decoded(body)
    variables = _variables(whole.get("variables"))
    profiles = tuple(_profiles(whole.get("callflow")))
    uuid = variables.get("uuid") or (profiles[-1].uuid if profiles else "")
    if not uuid or len(uuid) > _MOST_NAME or not uuid.isprintable():
        raise Invalid.field("variables.uuid", f"expected up to {_MOST_NAME} printable characters.")
    if not profiles:
        raise Invalid.field("callflow", "expected a list of one or more profiles.")
    log = _object(whole.get("app_log")).get("applications")
    return Record(uuid=uuid, variables=variables, profiles=profiles, log=tuple(_applications(log)))


def values_of(value: str) -> Sequence[str]:
    """All values of a variable that may have several."""
    values = value.removeprefix(_ARRAY).split("|:") if value.startswith(_ARRAY) else [value]
    return [each for each in values if each]


def instant(value: object) -> datetime | None:
    """Microseconds since 1970; 0, and what is none, is never."""
    text = str(value) if isinstance(value, str | int) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    micros = int(text)
    return _EPOCH + timedelta(microseconds=micros) if 0 < micros < _LAST else None


def _decoded(body: bytes) -> dict[str, Any]:
    text = body.strip()
    if not text.startswith(b"{"):
        text = _unwrapped(text.removeprefix(b"cdr="))
    # What is no UTF-8, such as a caller's name in Latin-1, must not cost the call.
    plain = text.decode("utf-8", "replace")
    try:
        whole = _json(plain)
    except (msgspec.DecodeError, RecursionError):
        raise Invalid(
            "The body is not JSON, percent-encoded JSON or base64 of it.",
            code="bad_request",
            hint="Set encode to false in json_cdr.conf.xml.",
        ) from None
    if not isinstance(whole, dict):
        raise Invalid("The body: expected a JSON object.", code="bad_request")
    return whole


def _json(text: str) -> object:
    """JSON, or what is left of it by `encode` together with `encode-values`."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        mended = with_variables_escaped(text)
        if mended is None:
            raise
        return msgspec.json.decode(mended)


def with_variables_escaped(text: str) -> str | None:
    """The text with the values among its variables escaped as JSON asks; None when it has no variables.

    With `encode` and `encode-values` of mod_json_cdr, values are percent-encoded before they become JSON, and the whole
    is percent-encoded then; but its encoder leaves %22 as it is. Decoded once, a value has quotes, backslashes and line
    breaks without an escape. A quote ends a value when the next variable or the end of all follows. Who calls can write
    that into a name that is shown: of a variable that comes twice the first counts.
    Source: switch_url_encode in switch_utils.c of FreeSWITCH.
    """
    start, end = text.find(_VARIABLES_START), text.rfind(_CALLFLOW)  # nothing behind the variables has a bare quote
    if not text.startswith('"}', end - 2):
        end = text.rfind(_APP_LOG)
    if not 0 <= start < end:
        return None
    start, end = start + len(_VARIABLES_START), end - len('"}')
    variables: dict[str, str] = {}
    for entry in _NEXT_VARIABLE.split(text[start:end]):
        name, found, value = entry.partition(_AFTER_NAME)
        if found:
            variables.setdefault(name, value)
    said = msgspec.json.encode(variables).decode()
    return text[: start - len(_VARIABLES_START)] + '"variables":' + said + text[end + len('"}') :]


def _unwrapped(text: bytes) -> bytes:
    plain = unquote_to_bytes(text.replace(b"+", b" ")).strip()
    if plain.startswith(b"{"):
        return plain
    try:
        return base64.b64decode(unquote_to_bytes(text).replace(b"\n", b"").replace(b"\r", b""), validate=True)
    except (binascii.Error, ValueError):
        return plain


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """A text without what not every database keeps."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).replace("\0", "").encode("utf-8", "replace").decode()


def _decoded_text(value: object) -> str:
    """A text of a profile: what comes from an address has the percent signs of that, such as %2B for a plus."""
    return unquote(_text(value)).replace("\0", "")


def _variables(given: object) -> Mapping[str, str]:
    """With `encode-values`, which is usual, values are percent-encoded; a value without a percent sign stays."""
    return {str(name): _decoded_text(value) for name, value in _object(given).items()}


def _profiles(callflow: object) -> Iterator[Profile]:
    """FreeSWITCH tells the newest first."""
    entries = callflow if isinstance(callflow, list) else [callflow]
    for entry in reversed(entries):
        given = _object(_object(entry).get("caller_profile"))
        if given:
            yield _profile(given, _object(_object(entry).get("times")))


def _profile(given: Mapping[str, Any], times: Mapping[str, Any]) -> Profile:
    return Profile(
        uuid=_text(given.get("uuid")),
        channel=_decoded_text(given.get("chan_name")),
        context=_text(given.get("context")),
        caller=_decoded_text(given.get("caller_id_number")),
        username=_decoded_text(given.get("username")),
        destination=_decoded_text(given.get("destination_number")),
        times=times,
        originators=_others(given, "originator"),
        originatees=_others(given, "originatee"),
    )


def _others(given: Mapping[str, Any], which: str) -> tuple[Profile, ...]:
    profiles = _object(given.get(which)).get(f"{which}_caller_profiles")
    # Those of others have none of their own.
    flat = [_object(each) for each in profiles] if isinstance(profiles, list) else []
    return tuple(_profile({**each, "originator": None, "originatee": None}, {}) for each in flat if each)


def _applications(log: object) -> Iterator[tuple[str, str, datetime | None]]:
    for each in log if isinstance(log, list) else ():
        entry = _object(each)
        yield _text(entry.get("app_name")), _text(entry.get("app_data")), instant(entry.get("app_stamp"))
