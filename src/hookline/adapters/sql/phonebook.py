"""Users, lines and connectors in SQL: what both databases share."""

import hashlib
import json
from typing import Final

from hookline.adapters.sql.session import (
    Insert,
    Row,
    Session,
    first,
    instant,
    instant_or_none,
    micros,
    micros_or_none,
    to_json,
)
from hookline.domain.ids import ConnectorId, PhoneLineId, UserId
from hookline.domain.phonebook import Connector, ConnectorState, ConnectorTally, Phonebook, PhoneLine, UnknownLine, User

_USER: Final = (
    *("id", "email", "address", "given_name", "family_name", "extension", "channel_prefixes", "outbound_line"),
    *("provider_ids", "is_set_up", "created_at", "modified_at"),
)
_LINE: Final = ("id", "number", "name", "owner_email", "region", "created_at", "modified_at")
_CONNECTOR: Final = (
    *("id", "kind", "name", "settings", "token", "token_digest", "state", "last_event_at", "last_error"),
    *("created_at", "modified_at"),
)


def _changed(columns: tuple[str, ...]) -> str:
    return "(id) DO UPDATE SET " + ", ".join(f"{column} = excluded.{column}" for column in columns[1:])


KEEP_USER: Final = Insert("user_account", _USER, _changed(_USER))
MEET: Final = Insert("user_account", _USER, "(address) DO NOTHING")
USERS: Final = f"SELECT {', '.join(_USER)} FROM user_account ORDER BY id"
USER: Final = f"SELECT {', '.join(_USER)} FROM user_account WHERE id = :id"
USER_AT: Final = f"SELECT {', '.join(_USER)} FROM user_account WHERE address = :address"
REMOVE_USER: Final = "DELETE FROM user_account WHERE id = :id"
KEEP_LINE: Final = Insert("phone_line", _LINE, _changed(_LINE))
LINES: Final = f"SELECT {', '.join(_LINE)} FROM phone_line ORDER BY id"
LINE: Final = f"SELECT {', '.join(_LINE)} FROM phone_line WHERE id = :id"
LINE_WITH: Final = f"SELECT {', '.join(_LINE)} FROM phone_line WHERE number = :number"
REMOVE_LINE: Final = "DELETE FROM phone_line WHERE id = :id"
KEEP_CONNECTOR: Final = Insert("connector", _CONNECTOR, _changed(_CONNECTOR))
_READ_CONNECTOR: Final = ", ".join(
    (*_CONNECTOR, "last_error_at", "events", "no_events", "refused", "gaps", "last_gap_at")
)
CONNECTORS: Final = f"SELECT {_READ_CONNECTOR} FROM connector ORDER BY id"
CONNECTOR: Final = f"SELECT {_READ_CONNECTOR} FROM connector WHERE id = :id"
CONNECTOR_AT: Final = f"SELECT {_READ_CONNECTOR} FROM connector WHERE token_digest = :digest"
REMOVE_CONNECTOR: Final = "DELETE FROM connector WHERE id = :id"
STAND: Final = """
    UPDATE connector SET state = :state, last_error = :error, last_error_at = :error_at,
        gaps = gaps + CASE WHEN state = 'connected' THEN :gap ELSE 0 END,
        last_gap_at = CASE WHEN state = 'connected' AND :gap = 1 THEN :now ELSE last_gap_at END
    WHERE id = :id
"""
REFUSED: Final = """
    UPDATE connector SET last_error = :error, last_error_at = :now, refused = refused + 1 WHERE id = :id
"""
#: A system that calls us is connected since it did.
HEARD: Final = """
    UPDATE connector SET last_event_at = :now, state = CASE WHEN token = '' THEN state ELSE 'connected' END
    WHERE id = :id
"""
COUNT_UNKNOWN: Final = """
    INSERT INTO unknown_line (number, calls, last_at) VALUES (:number, 1, :now)
    ON CONFLICT (number) DO UPDATE SET calls = unknown_line.calls + 1, last_at = :now
"""
UNKNOWN: Final = "SELECT number, calls, last_at FROM unknown_line ORDER BY last_at DESC, number LIMIT :limit"
KNOWN: Final = "DELETE FROM unknown_line WHERE number = :number"
#: Whoever dials at random finds many; more than these nobody reads.
FORGET_UNKNOWN: Final = """
    DELETE FROM unknown_line WHERE number IN (
        SELECT number FROM unknown_line ORDER BY last_at DESC, number LIMIT 1000000 OFFSET :keep)
"""
_MOST_UNKNOWN: Final = 200


class SqlPhonebook:
    """`ports.phonebook.PhonebookStore`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._books: dict[str, Phonebook] = {}  # by region

    def forget_held(self) -> None:
        """Read from the database again: somebody changed it, or what was held was rolled back."""
        self._books.clear()

    def book(self, region: str = "") -> Phonebook:
        book = self._books.get(region)  # asked for with each word of each phone system, and seldom changed
        if book is None:
            book = self._books[region] = Phonebook(self.lines(), self.users(), region=region)
        return book

    def users(self) -> list[User]:
        return [_user(row) for row in self._session.rows(USERS)]

    def user(self, user_id: str) -> User | None:
        row = first(self._session.rows(USER, {"id": user_id}))
        return None if row is None else _user(row)

    def user_at(self, email: str) -> User | None:
        row = first(self._session.rows(USER_AT, {"address": email.lower()}))
        return None if row is None else _user(row)

    def keep_user(self, user: User) -> None:
        self.forget_held()
        self._session.insert(KEEP_USER, _row(user))

    def meet(self, user: User) -> None:
        self.forget_held()
        self._session.insert(MEET, _row(user))

    def remove_user(self, user_id: UserId) -> bool:
        self.forget_held()
        return bool(self._session.run(REMOVE_USER, {"id": user_id}))

    def lines(self) -> list[PhoneLine]:
        return [_line(row) for row in self._session.rows(LINES)]

    def line(self, line_id: str) -> PhoneLine | None:
        row = first(self._session.rows(LINE, {"id": line_id}))
        return None if row is None else _line(row)

    def line_with(self, number: str) -> PhoneLine | None:
        row = first(self._session.rows(LINE_WITH, {"number": number}))
        return None if row is None else _line(row)

    def keep_line(self, line: PhoneLine) -> None:
        self.forget_held()
        self._session.run(KNOWN, {"number": line.number})
        self._session.insert(
            KEEP_LINE,
            (
                *(line.id, line.number, line.name, line.owner_email, line.region),
                *(micros(line.created_at), micros(line.modified_at)),
            ),
        )

    def remove_line(self, line_id: PhoneLineId) -> bool:
        self.forget_held()
        return bool(self._session.run(REMOVE_LINE, {"id": line_id}))

    def connectors(self) -> list[Connector]:
        return [_connector(row) for row in self._session.rows(CONNECTORS)]

    def connector(self, connector_id: str) -> Connector | None:
        row = first(self._session.rows(CONNECTOR, {"id": connector_id}))
        return None if row is None else _connector(row)

    def connector_at(self, token: str) -> Connector | None:
        row = first(self._session.rows(CONNECTOR_AT, {"digest": _digest(token)})) if token else None
        return None if row is None else _connector(row)

    def keep_connector(self, connector: Connector) -> None:
        self._session.doings.connectors = True
        self._session.insert(
            KEEP_CONNECTOR,
            (
                *(connector.id, connector.kind, connector.name, to_json(connector.settings), connector.token),
                *(_digest(connector.token) if connector.token else None, connector.state.value),
                *(micros_or_none(connector.last_event_at), connector.last_error),
                *(micros(connector.created_at), micros(connector.modified_at)),
            ),
        )

    def remove_connector(self, connector_id: ConnectorId) -> bool:
        self._session.doings.connectors = True
        return bool(self._session.run(REMOVE_CONNECTOR, {"id": connector_id}))

    def stand(self, connector_id: ConnectorId, state: ConnectorState, error: str) -> None:
        now = micros(self._session.now)
        said = {"state": state.value, "error": error, "error_at": now if error else None}
        gap = int(state is not ConnectorState.CONNECTED)
        self._session.run(STAND, {"id": connector_id, **said, "gap": gap, "now": now})

    def note_refusal(self, connector_id: ConnectorId, error: str) -> None:
        self._session.run(REFUSED, {"id": connector_id, "error": error, "now": micros(self._session.now)})

    def heard_from(self, connector_id: ConnectorId) -> None:
        self._session.run(HEARD, {"id": connector_id, "now": micros(self._session.now)})

    def count_unknown_line(self, number: str) -> None:
        self._session.run(COUNT_UNKNOWN, {"number": number, "now": micros(self._session.now)})
        self._session.run(FORGET_UNKNOWN, {"keep": _MOST_UNKNOWN})

    def unknown_lines(self) -> list[UnknownLine]:
        rows = self._session.rows(UNKNOWN, {"limit": _MOST_UNKNOWN})
        return [UnknownLine(number=number, calls=calls, last_at=instant(last_at)) for number, calls, last_at in rows]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _row(user: User) -> Row:
    return (
        *(user.id, user.email, user.email.lower(), user.given_name, user.family_name, user.extension),
        *(to_json(user.channel_prefixes), user.outbound_line, to_json(user.provider_ids)),
        *(int(user.is_set_up), micros(user.created_at), micros(user.modified_at)),
    )


def _user(row: Row) -> User:
    id_, email, _, given_name, family_name, extension, prefixes, outbound_line, ids, is_set_up, created, modified = row
    return User(
        id=UserId(id_),
        email=email,
        given_name=given_name,
        family_name=family_name,
        extension=extension,
        channel_prefixes=tuple(json.loads(prefixes)),
        outbound_line=outbound_line,
        provider_ids=tuple(json.loads(ids)),
        is_set_up=bool(is_set_up),
        created_at=instant(created),
        modified_at=instant(modified),
    )


def _line(row: Row) -> PhoneLine:
    id_, number, name, owner_email, region, created_at, modified_at = row
    return PhoneLine(
        id=PhoneLineId(id_),
        number=number,
        name=name,
        owner_email=owner_email,
        region=region,
        created_at=instant(created_at),
        modified_at=instant(modified_at),
    )


def _connector(row: Row) -> Connector:
    id_, kind, name, settings, token, _, state, last_event_at, last_error, created_at, modified_at, *more = row
    last_error_at, events, no_events, refused, gaps, last_gap_at = more
    return Connector(
        id=ConnectorId(id_),
        kind=kind,
        name=name,
        settings=json.loads(settings),
        token=token,
        state=ConnectorState(state),
        last_event_at=instant_or_none(last_event_at),
        last_error=last_error,
        last_error_at=instant_or_none(last_error_at) if last_error else None,
        tally=ConnectorTally(
            events=events,
            no_events=no_events,
            refused=refused,
            gaps=gaps,
            last_gap_at=instant_or_none(last_gap_at),
        ),
        created_at=instant(created_at),
        modified_at=instant(modified_at),
    )
