"""The phone book: our lines, our users and their phones, and what numbers mean here."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import phonenumbers

from hookline.domain.ids import PhoneLineId, UserId


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
    created_at: datetime
    modified_at: datetime


class Phonebook:
    """Lines and users, as they are asked for when a call is over."""

    def __init__(self, lines: Iterable[PhoneLine], users: Iterable[User], *, region: str = "") -> None:
        """`region` is where numbers without a country code are at home; "" when that is unknown."""
        self._lines = {line.number: line for line in lines}
        self._users = tuple(users)
        self._region = region

    def line(self, number: str) -> PhoneLine | None:
        """The line with this number, E.164."""
        return self._lines.get(number)

    def user_of(self, identity: str) -> User | None:
        """Whose phone this is. Of several prefixes that fit the longest counts."""
        found, length = None, 0
        for user in self._users:
            if identity and (identity in user.provider_ids or identity in (user.extension, user.email)):
                return user
            for prefix in user.channel_prefixes:
                if identity.startswith(prefix) and len(prefix) > length:
                    found, length = user, len(prefix)
        return found

    def user_at(self, email: str) -> User | None:
        """The user with this mail address."""
        return next((user for user in self._users if email and user.email == email), None)

    def is_extension(self, number: str) -> bool:
        """Whether a number is that of a phone of ours."""
        return any(number and number == user.extension for user in self._users)

    def e164(self, spelling: str, region: str = "") -> str:
        """E.164 of a number in any spelling that phone systems have; "" of what is none.

        Possible numbers are enough: numbering plans change faster than their tables.
        """
        return _e164(spelling, region or self._region)


def _e164(spelling: str, region: str) -> str:
    text = spelling.strip()[:100]
    if text.startswith("00"):  # ITU-T E.123: the prefix to dial abroad from most countries
        text = "+" + text[2:]
    return _parsed(text, region) or (_parsed("+" + text, "") if text.isascii() and text.isdigit() else "")


def _parsed(text: str, region: str) -> str:
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return ""
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if possible else ""
