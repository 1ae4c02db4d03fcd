"""What the core asks of a store for users, lines and connectors.

A part of `ports/storage.py`, and tested like it: `tests/contract/test_storage_phonebook.py`.
"""

from collections.abc import Sequence
from typing import Protocol

from hookline.domain.ids import ConnectorId, PhoneLineId, UserId
from hookline.domain.phonebook import Connector, ConnectorState, Phonebook, PhoneLine, UnknownLine, User


class PhonebookStore(Protocol):
    """Users, lines and connectors: a company has few of each, so lists are whole."""

    def book(self, region: str = "") -> Phonebook:
        """All lines and users, for numbers without a country code from `region`."""

    def users(self) -> Sequence[User]:
        """Every user, by creation."""

    def user(self, user_id: str) -> User | None:
        """The user, or None."""

    def user_at(self, email: str) -> User | None:
        """The user with this mail address, in whatever case it is written, or None."""

    def keep_user(self, user: User) -> None:
        """Keep a user, new or changed."""

    def meet(self, user: User) -> None:
        """Keep this user unless there is one with the same mail address."""

    def remove_user(self, user_id: UserId) -> bool:
        """Forget a user. False when there was none."""

    def lines(self) -> Sequence[PhoneLine]:
        """Every line, by creation."""

    def line(self, line_id: str) -> PhoneLine | None:
        """The line, or None."""

    def line_with(self, number: str) -> PhoneLine | None:
        """The line with this number, E.164, or None."""

    def keep_line(self, line: PhoneLine) -> None:
        """Keep a line, new or changed; its number is an unknown one no longer."""

    def remove_line(self, line_id: PhoneLineId) -> bool:
        """Forget a line. False when there was none."""

    def connectors(self) -> Sequence[Connector]:
        """Every connector, by creation."""

    def connector(self, connector_id: str) -> Connector | None:
        """The connector, or None."""

    def connector_at(self, token: str) -> Connector | None:
        """The connector whose address has this token, or None."""

    def keep_connector(self, connector: Connector) -> None:
        """Keep a connector, new or with other settings. Its tally and `last_error_at` stay as they are."""

    def remove_connector(self, connector_id: ConnectorId) -> bool:
        """Forget a connector. False when there was none."""

    def stand(self, connector_id: ConnectorId, state: ConnectorState, error: str) -> None:
        """Note how a connection stands, and what went wrong, "" for nothing. One that stood and does not is a gap."""

    def note_refusal(self, connector_id: ConnectorId, error: str) -> None:
        """Note and count that a message of its system was refused."""

    def heard_from(self, connector_id: ConnectorId) -> None:
        """Note that its system told of something now."""

    def count_unknown_line(self, number: str) -> None:
        """Count a call on a number that no line has."""

    def unknown_lines(self) -> Sequence[UnknownLine]:
        """All those numbers, the latest first."""
