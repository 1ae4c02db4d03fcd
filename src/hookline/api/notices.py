"""Notices over HTTP: what the owners of webhooks and connectors have to be told."""

from typing import Annotated

import msgspec

from hookline.api.routes import PAGING, READERS, Asked, Reply, Route, Work, doc, doc_instant, listed
from hookline.domain.instants import wire_form
from hookline.domain.notices import Notice, NoticeKind
from hookline.ports.storage import Transaction
from hookline.services import notices


class NoticeView(msgspec.Struct):
    """Something that the owner of a webhook or a connector has to be told."""

    id: Annotated[str, doc("Id of the notice.", examples=["ntc_01k2j3q4r5s6t7v8w9x0y1z2a3"])]
    webhookId: Annotated[int | None, doc("Id of the webhook; null when it is about a connector.", examples=[1])]
    connectorId: Annotated[str | None, doc("Id of the connector; null when it is about a webhook.", examples=[None])]
    kind: Annotated[NoticeKind, doc("What it is about.", examples=["webhook_failing"])]
    message: Annotated[
        str, doc("Sentences for a person.", examples=["Every attempt has failed since 2026-01-05 09:00 UTC, ..."])
    ]
    calls: Annotated[int | None, doc("How many calls it counts so far; null when it counts none.", examples=[None])]
    createdAt: Annotated[str, doc_instant("When it was made.")]


class NoticeList(msgspec.Struct):
    """A page of notices, the latest first."""

    notices: Annotated[list[NoticeView], doc("The notices of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]


def list_(asked: Asked) -> Work:
    limit, cursor = asked.query.page(r"ntc_[0-9a-z]{26}")

    def work(tx: Transaction) -> Reply:
        return listed("notices", notices.list_notices(tx, limit=limit, cursor=cursor), _view)

    return work


def _view(notice: Notice) -> NoticeView:
    return NoticeView(
        id=notice.id,
        webhookId=notice.webhook_id,
        connectorId=notice.connector_id,
        kind=notice.kind,
        message=notice.message,
        calls=notice.calls,
        createdAt=wire_form(notice.created_at),
    )


ROUTES = (
    Route(
        method="GET", path="/notices", handler=list_, scopes=READERS, status=200,
        summary="List what the owners of webhooks and connectors have to be told, the latest first.", gives=NoticeList,
        query=dict(PAGING),
    ),
)  # fmt: skip
