"""Connectors over HTTP: which phone systems tell of calls, and how they stand."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from hookline.api.call_legs import INSTANT_OR_NULL
from hookline.api.routes import (
    ADMIN_ONLY,
    PAGING,
    READERS,
    Asked,
    Reply,
    Route,
    Work,
    doc,
    doc_instant,
    instant_or_null,
    listed,
)
from hookline.domain.instants import wire_form
from hookline.domain.phonebook import Connector, ConnectorState
from hookline.domain.text import require_storable
from hookline.errors import Invalid
from hookline.ports.storage import Transaction
from hookline.services import phonebook
from hookline.services.phonebook import MAX_NAME

CONNECTOR_ID = doc("Id of the connector.", examples=["con_01k2j3q4r5s6t7v8w9x0y1z2a3"])
KIND = doc("Which phone system it is.", examples=["asterisk"])
NAME = doc("What you call it.", maxLength=MAX_NAME, examples=["Office"])
SETTINGS = doc(
    "As its kind needs them; its page tells which.",
    examples=[{"host": "pbx.example", "username": "hookline", "secret": "s3cret"}],
)
URL = doc(
    "Where a system that calls us is to call; for admin keys only, since the address is its key.",
    examples=["https://hooks.example/in/twilio/3q2-7w..."],
)


class NewConnectorBody(msgspec.Struct, kw_only=True):
    """A connector to make."""

    kind: Annotated[str, KIND]
    name: Annotated[str, NAME]
    settings: Annotated[dict[str, Any], SETTINGS]


class ConnectorBody(msgspec.Struct, kw_only=True):
    """Changes of a connector. What is absent stays; of the settings too."""

    name: Annotated[str | UnsetType, NAME] = UNSET
    settings: Annotated[dict[str, Any] | UnsetType, SETTINGS] = UNSET


class ConnectorMade(msgspec.Struct, omit_defaults=True):
    """The id of a connector, and the address of one whose system calls us."""

    id: Annotated[str, CONNECTOR_ID]
    url: Annotated[str | UnsetType, URL] = UNSET


class CallCounts(msgspec.Struct):
    """How many calls of a connector were decided on since it was made."""

    events: Annotated[int, doc("Those that became an event.")]
    none: Annotated[int, doc("Those that became none.")]


class ConnectorView(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A connector, without its secrets."""

    id: Annotated[str, CONNECTOR_ID]
    kind: Annotated[str, KIND]
    name: Annotated[str, NAME]
    settings: Annotated[
        dict[str, Any],
        doc("Its settings but for secrets, which are never given back.", examples=[{"host": "pbx.example"}]),
    ]
    url: Annotated[str | UnsetType, URL] = UNSET
    state: Annotated[ConnectorState, doc("How it stands; one that calls us is `connected` once it has called.")]
    lastEventAt: Annotated[str | None, doc("When it last told of something.", format="date-time", examples=[None])]
    lastError: Annotated[str | None, doc("What went wrong last; null when nothing did.", examples=[None])]
    lastErrorAt: Annotated[str | None, doc("When that was; null when nothing went wrong.", **INSTANT_OR_NULL)]
    calls: Annotated[CallCounts, doc("How many calls were decided on.")]
    refused: Annotated[int, doc("How many messages of its system were refused.")]
    gaps: Annotated[int, doc("How often a connection that stood was lost.")]
    lastGapAt: Annotated[str | None, doc("When that was noted last.", **INSTANT_OR_NULL)]
    createdAt: Annotated[str, doc_instant("When it was made.")]
    modifiedAt: Annotated[str, doc_instant("When it was last changed.")]


class ConnectorList(msgspec.Struct):
    """A page of connectors, by creation."""

    connectors: Annotated[list[ConnectorView], doc("The connectors of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]


def create(asked: Asked) -> Work:
    body = asked.read(NewConnectorBody)
    require_storable(msgspec.to_builtins(body))
    _require_name(body.name)

    def work(tx: Transaction) -> Reply:
        made = phonebook.create_connector(tx, asked.kinds, body.kind, body.name, body.settings)
        return Reply(201, ConnectorMade(made.id, _url(asked, made)))

    return work


def list_(asked: Asked) -> Work:
    limit, cursor = asked.query.page(r"con_[0-9a-z]{26}")

    def work(tx: Transaction) -> Reply:
        page = phonebook.page_of(tx.phonebook.connectors(), limit=limit, cursor=cursor)
        return listed("connectors", page, lambda connector: _view(asked, connector))

    return work


def read(asked: Asked) -> Work:
    return lambda tx: Reply(200, _view(asked, phonebook.read_connector(tx, asked.path["id"])))


def update(asked: Asked) -> Work:
    body = asked.read(ConnectorBody)
    require_storable(msgspec.to_builtins(body))
    name = None if isinstance(body.name, UnsetType) else _require_name(body.name)
    settings = None if isinstance(body.settings, UnsetType) else body.settings

    def work(tx: Transaction) -> Reply:
        phonebook.update_connector(tx, asked.kinds, asked.path["id"], name=name, settings=settings)
        return Reply(204)

    return work


def delete(asked: Asked) -> Work:
    def work(tx: Transaction) -> Reply:
        phonebook.delete_connector(tx, asked.path["id"])
        return Reply(204)

    return work


def _require_name(name: str) -> str:
    if not 1 <= len(name) <= MAX_NAME:
        raise Invalid.field("name", f"expected 1 to {MAX_NAME} characters, got {len(name)}.", code="out_of_range")
    return name


def _url(asked: Asked, connector: Connector) -> str | UnsetType:
    """The address at which its system calls us."""
    if not connector.token or not asked.sees_secrets:
        return UNSET
    return f"{asked.limits.public_url}/in/{connector.kind}/{connector.token}"


def _view(asked: Asked, connector: Connector) -> ConnectorView:
    kind = asked.kinds.get(connector.kind)
    shown = {} if kind is None else {k: v for k, v in connector.settings.items() if k not in kind.secrets}
    tally = connector.tally
    return ConnectorView(
        id=connector.id,
        kind=connector.kind,
        name=connector.name,
        settings=shown,
        url=_url(asked, connector),
        state=connector.state,
        lastEventAt=instant_or_null(connector.last_event_at),
        lastError=connector.last_error or None,
        lastErrorAt=instant_or_null(connector.last_error_at),
        calls=CallCounts(events=tally.events, none=tally.no_events),
        refused=tally.refused,
        gaps=tally.gaps,
        lastGapAt=instant_or_null(tally.last_gap_at),
        createdAt=wire_form(connector.created_at),
        modifiedAt=wire_form(connector.modified_at),
    )


ROUTES = (
    Route(
        method="POST", path="/connectors", handler=create, scopes=ADMIN_ONLY, status=201,
        summary="Connect a phone system.", takes=NewConnectorBody, gives=ConnectorMade,
    ),
    Route(
        method="GET", path="/connectors", handler=list_, scopes=READERS, status=200,
        summary="List connectors, by creation.", gives=ConnectorList, query={**PAGING},
    ),
    Route(
        method="GET", path="/connectors/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a connector, and how it stands.", gives=ConnectorView,
    ),
    Route(
        method="PUT", path="/connectors/{id}", handler=update, scopes=ADMIN_ONLY, status=204,
        summary="Change a connector.", takes=ConnectorBody,
    ),
    Route(
        method="DELETE", path="/connectors/{id}", handler=delete, scopes=ADMIN_ONLY, status=204,
        summary="Delete a connector: its system is not listened to any more.",
    ),
)  # fmt: skip
