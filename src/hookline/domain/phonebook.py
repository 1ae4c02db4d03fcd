"""The phone book: our lines, our users and their phones, and what numbers mean here."""

from collections.abc import Collection, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from hookline.domain.ids import ConnectorId, PhoneLineId, UserId
from hookline.domain.numbers import ReadNumber, home_of, read_caller, read_number


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneLine:
    """A number of ours."""

    id: PhoneLineId
    number: str  # E.164
    name: str
    owner_email: str  # of the user to whom calls go that nobody takes; "" when there is none
    region: str  # ISO 3166-1 of numbers without a country code that call it; "" for the connector's
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody of ours, and what tells that a leg is theirs."""

    id: UserId
    email: str
    given_name: str
    family_name: str
    extension: str  # "" when there is none
    channel_prefixes: tuple[str, ...]  # such as PJSIP/101-
    outbound_line: str  # E.164, shown when they call; "" when there is none
    provider_ids: tuple[str, ...]
    is_set_up: bool = True  # False: known only since a meeting or a line names the address
    created_at: datetime
    modified_at: datetime


class ConnectorState(StrEnum):
    """How a connection stands; that of a system which calls us stands always."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorTally:
    """What was counted of a connector since it was made."""

    events: int = 0  # calls that became an event
    no_events: int = 0  # calls that were decided on and became none
    refused: int = 0  # messages of its system that were refused
    gaps: int = 0  # times at which a connection that stood was lost: what was said meanwhile was not heard
    last_gap_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A phone system that tells us of calls."""

    id: ConnectorId
    kind: str  # such as asterisk
    name: str
    settings: Mapping[str, Any]  # complete, as its kind has them; secrets too
    token: str  # of the address at which it calls us; "" when we call it
    state: ConnectorState
    last_event_at: datetime | None
    last_error: str  # "" for none
    last_error_at: datetime | None = None
    tally: ConnectorTally = ConnectorTally()
    created_at: datetime
    modified_at: datetime

    @property
    def region(self) -> str:
        """Where its numbers without a country code are at home; "" when that is unknown."""
        return str(self.settings.get("region") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownLine:
    """A number of ours on which calls came although no line has it."""

    number: str
    calls: int
    last_at: datetime


class Phonebook:
    """Lines and users, as they are asked for when a call is over."""

    def __init__(self, lines: Iterable[PhoneLine], users: Iterable[User], *, region: str = "") -> None:
        """`region` is where numbers without a country code are at home; "" when that is unknown."""
        self._lines = {line.number: line for line in lines}
        self._users = tuple(users)
        self._by_address = {user.email.lower(): user for user in self._users}
        self._region = region
        self.is_on_trunks = True
        self._homes = tuple(dict.fromkeys(filter(None, (home_of(number) for number in self._lines))))

    def without_trunks(self) -> "Phonebook":
        """The same for a system that tells of no SIP trunk: it has no numbers that lack their plus."""
        book = copy(self)
        book.is_on_trunks = False
        return book

    def line(self, number: str) -> PhoneLine | None:
        """The line with this number, E.164."""
        return self._lines.get(number)

    def user_of(self, identity: str) -> User | None:
        """Whose phone this is. Of several prefixes that fit the longest counts; of `sip:john@pbx.example` the whole
        first, then what follows the colon, then what is before the @.
        """
        address = identity.partition(":")[2]
        for name in filter(None, (identity, address, address.partition("@")[0])):
            known = self._by_address.get(name.lower()) or self._called(name)
            if known is not None:
                return known
        return None

    def _called(self, name: str) -> User | None:
        found, length = None, 0
        for user in self._users:
            if name in user.provider_ids or name == user.extension:
                return user
            for prefix in user.channel_prefixes:
                if name.startswith(prefix) and len(prefix) > length:
                    found, length = user, len(prefix)
        return found

    def user_at(self, email: str) -> User | None:
        """The user with this mail address."""
        return self._by_address.get(email.lower())

    def is_extension(self, number: str) -> bool:
        """Whether a number is that of a phone of ours."""
        return any(number and number == user.extension for user in self._users)

    def e164(self, spelling: str, region: str = "") -> str:
        """E.164 of a number in any spelling that phone systems have; "" of what is none."""
        return read_number(spelling, region or self._region, is_from_trunk=self.is_on_trunks).e164

    def caller(self, spelling: str, line: str) -> ReadNumber:
        """The number of a caller, on a call of the line with this number (E.164)."""
        return read_caller(spelling, self.home(line), is_from_trunk=self.is_on_trunks)

    def dialled(self, spelling: str, line: str) -> ReadNumber:
        """A number that was dialled, on a call of the line with this number (E.164)."""
        return read_number(spelling, self.home(line), is_from_trunk=self.is_on_trunks)

    def our_number(self, spelling: str) -> str:
        """E.164 of a number that should be one of our lines; "" of what is no number.

        A line may be told without its plus. Without a region a number is at home where our lines are, if just one line
        has it.
        """
        number = self.e164(spelling)
        if number not in self._lines and (whole := f"+{spelling.strip()}") in self._lines:
            return whole
        if number in self._lines or self._region:
            return number
        found = {told for home in self._homes if (told := self.e164(spelling, home)) in self._lines}
        return found.pop() if len(found) == 1 else number

    def home(self, number: str) -> str:
        """The country (ISO 3166-1) of numbers without a country code on calls of this line; "" when it is unknown.

        The region of the line counts, then that of the connector, then the country code of the line itself.
        """
        line = self._lines.get(number)
        return (line.region if line is not None else "") or self._region or home_of(number)

    def homes(self) -> Collection[str]:
        """Every country in which a number without a country code may be at home here; "" for none."""
        regions = (line.region for line in self._lines.values())
        return tuple(dict.fromkeys(("", self._region, *self._homes, *regions)))
