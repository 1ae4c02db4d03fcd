"""Users, lines and connectors: who is ours, which numbers are, and which phone systems tell of calls."""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, TypeVar

import phonenumbers

from hookline.domain.calls import parse_number
from hookline.domain.ids import ConnectorId, PhoneLineId, UserId
from hookline.domain.phonebook import Connector, ConnectorState, Phonebook, PhoneLine, UnknownLine, User
from hookline.domain.text import require_email
from hookline.errors import Invalid, NotFound
from hookline.ports import connectors as ports
from hookline.ports.storage import Page, Transaction

#: Bytes that nobody can guess, in the address of a connector.
TOKEN_BYTES: Final = 32
MAX_NAME: Final = 255
MAX_EXTENSION: Final = 40
MAX_IDENTITY: Final = 255
MAX_IDENTITIES: Final = 50

Kinds = Mapping[str, ports.Connector]


class _Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Named)


def page_of(items: Sequence[T], *, limit: int, cursor: str | None) -> Page[T]:
    """A page of a list that is whole, by creation."""
    rest = [item for item in items if cursor is None or item.id > cursor]
    shown = rest[:limit]
    return Page(items=shown, next_cursor=shown[-1].id if len(rest) > limit else None)


def create_user(tx: Transaction, email: str, changes: Mapping[str, Any]) -> UserId:
    """Make a user, or complete one who is known only since a meeting or a line names the address.

    Raises:
        Invalid: the address is none, or that of a user already; an identity is that of another user.
    """
    require_email(email, "email")
    known = tx.phonebook.user_at(email)
    if known is not None and known.is_set_up:
        raise Invalid.field("email", f"is that of user {known.id} already.")
    user = replace(known or _new_user(tx, email), email=email, is_set_up=True, modified_at=tx.now, **changes)
    _require_own(user, tx.phonebook.users())
    tx.phonebook.keep_user(user)
    return user.id


def meet(tx: Transaction, email: str) -> None:
    """Know this mail address from now on: a user without a login, if there is none yet."""
    tx.phonebook.meet(replace(_new_user(tx, email), is_set_up=False))


def _new_user(tx: Transaction, email: str) -> User:
    return User(
        id=UserId(f"usr_{tx.ulid()}"),
        email=email,
        given_name="",
        family_name="",
        extension="",
        channel_prefixes=(),
        outbound_line="",
        provider_ids=(),
        created_at=tx.now,
        modified_at=tx.now,
    )


def _require_own(user: User, others: Iterable[User]) -> None:
    """What tells that a leg is this user's must not tell that it is another's."""
    extension = (user.extension,) if user.extension else ()
    for other in others:
        if other.id == user.id:
            continue
        for name, own, theirs in (
            ("phone.extension", extension, (other.extension, *other.provider_ids)),
            ("phone.channelPrefixes", user.channel_prefixes, other.channel_prefixes),
            ("phone.providerIds", user.provider_ids, (*other.provider_ids, other.extension, other.email)),
        ):
            for identity in sorted(set(own) & set(theirs)):
                raise Invalid.field(name, f"{identity!r} is that of user {other.id} already.")


def read_user(tx: Transaction, user_id: str) -> User:
    """The user.

    Raises:
        NotFound: there is no such user.
    """
    user = tx.phonebook.user(user_id)
    if user is None:
        raise NotFound(f"There is no user {user_id[:40]!r}.")
    return user


def update_user(tx: Transaction, user_id: str, changes: Mapping[str, Any]) -> None:
    """Change a user.

    Raises:
        Invalid: the address or an identity is that of another user.
        NotFound: there is no such user.
    """
    known = read_user(tx, user_id)
    user = replace(known, is_set_up=True, modified_at=tx.now, **changes)
    require_email(user.email, "email")
    same = tx.phonebook.user_at(user.email)
    if same is not None and same.id != user.id:
        raise Invalid.field("email", f"is that of user {same.id} already.")
    _require_own(user, tx.phonebook.users())
    tx.phonebook.keep_user(user)
    for line in tx.phonebook.lines():
        if user.email != known.email and line.owner_email.lower() == known.email.lower():
            tx.phonebook.keep_line(replace(line, owner_email=user.email))


def delete_user(tx: Transaction, user_id: str) -> None:
    """Forget a user. What was told of their calls stays as it was.

    Raises:
        NotFound: there is no such user.
    """
    tx.phonebook.remove_user(read_user(tx, user_id).id)


def create_line(tx: Transaction, number: str, name: str, *, owner_email: str = "", region: str = "") -> PhoneLineId:
    """Make a line.

    Raises:
        Invalid: the number is none, or that of a line already.
    """
    line = PhoneLine(
        id=PhoneLineId(f"line_{tx.ulid()}"),
        number=line_number(number, region),
        name=name,
        owner_email=owner_email,
        region=region,
        created_at=tx.now,
        modified_at=tx.now,
    )
    _keep_line(tx, line)
    return line.id


def _keep_line(tx: Transaction, line: PhoneLine) -> None:
    same = tx.phonebook.line_with(line.number)
    if same is not None and same.id != line.id:
        raise Invalid.field("number", f"{line.number} is that of line {same.id} already.")
    if line.owner_email:
        require_email(line.owner_email, "ownerEmail")
        meet(tx, line.owner_email)
    tx.phonebook.keep_line(line)


def line_number(spelling: str, region: str) -> str:
    """E.164 of a line's number, which may be without its country code where the region is told.

    Raises:
        Invalid: it is no number.
    """
    number = Phonebook([], []).e164(spelling, region) if region and not spelling.strip().startswith("+") else ""
    return number or parse_number(spelling, "number")


def require_region(region: str, field: str) -> str:
    """A region in capitals; "" for none.

    Raises:
        Invalid: there is no such region.
    """
    if region and region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid.field(field, f"expected a country of ISO 3166-1 such as GB, got {region[:20]!r}.")
    return region.upper()


def read_line(tx: Transaction, line_id: str) -> PhoneLine:
    """The line.

    Raises:
        NotFound: there is no such line.
    """
    line = tx.phonebook.line(line_id)
    if line is None:
        raise NotFound(f"There is no phone line {line_id[:40]!r}.")
    return line


def update_line(tx: Transaction, line_id: str, changes: Mapping[str, Any]) -> None:
    """Change a line.

    Raises:
        Invalid: the number is none, or that of another line.
        NotFound: there is no such line.
    """
    line = replace(read_line(tx, line_id), modified_at=tx.now, **changes)
    _keep_line(tx, replace(line, number=line_number(line.number, line.region)))


def delete_line(tx: Transaction, line_id: str) -> None:
    """Forget a line. Calls on it are no events any more.

    Raises:
        NotFound: there is no such line.
    """
    tx.phonebook.remove_line(read_line(tx, line_id).id)


def list_lines(tx: Transaction, *, limit: int, cursor: str | None) -> tuple[Page[PhoneLine], Sequence[UnknownLine]]:
    """Lines by creation, and the numbers on which calls came although no line has them."""
    return page_of(tx.phonebook.lines(), limit=limit, cursor=cursor), tx.phonebook.unknown_lines()


def create_connector(tx: Transaction, kinds: Kinds, kind: str, name: str, settings: Mapping[str, Any]) -> Connector:
    """Make a connector; one whose system calls us gets an address of its own.

    Raises:
        Invalid: there is no such kind, or its settings are not as it needs them.
    """
    known = kinds.get(kind)
    if known is None:
        raise Invalid.field("kind", f"expected one of {', '.join(sorted(kinds))}, got {kind[:40]!r}.")
    calls_us = isinstance(known, ports.Called)
    connector = Connector(
        id=ConnectorId(f"con_{tx.ulid()}"),
        kind=kind,
        name=name,
        settings=known.check(settings),
        token=urlsafe_b64encode(tx.secret_bytes(TOKEN_BYTES)).rstrip(b"=").decode() if calls_us else "",
        state=ConnectorState.CONNECTING,
        last_event_at=None,
        last_error="",
        created_at=tx.now,
        modified_at=tx.now,
    )
    tx.phonebook.keep_connector(connector)
    return connector


def read_connector(tx: Transaction, connector_id: str) -> Connector:
    """The connector.

    Raises:
        NotFound: there is no such connector.
    """
    connector = tx.phonebook.connector(connector_id)
    if connector is None:
        raise NotFound(f"There is no connector {connector_id[:40]!r}.")
    return connector


def update_connector(
    tx: Transaction, kinds: Kinds, connector_id: str, *, name: str | None, settings: Mapping[str, Any] | None
) -> None:
    """Change a connector. Of its settings those that are given change; null takes one back to what it is by itself.

    Raises:
        Invalid: its settings would not be as its kind needs them.
        NotFound: there is no such connector.
    """
    connector = read_connector(tx, connector_id)
    changed = replace(connector, name=connector.name if name is None else name, modified_at=tx.now)
    if settings is not None:
        whole = {**connector.settings, **settings}
        whole = {key: value for key, value in whole.items() if value is not None}
        kind = kinds.get(connector.kind)
        if kind is None:
            raise Invalid.field("settings", f"this version knows no connector of kind {connector.kind!r}.")
        changed = replace(changed, settings=kind.check(whole), state=ConnectorState.CONNECTING, last_error="")
    tx.phonebook.keep_connector(changed)


def delete_connector(tx: Transaction, connector_id: str) -> None:
    """Forget a connector: its system is not listened to any more.

    Raises:
        NotFound: there is no such connector.
    """
    known = read_connector(tx, connector_id).id
    tx.phonebook.remove_connector(known)
    tx.decisions.forget_of(known)
