"""Phone lines over HTTP."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from hookline.api.routes import ADMIN_ONLY, PAGING, READERS, Asked, Reply, Route, Work, doc, doc_instant
from hookline.domain.instants import wire_form
from hookline.domain.phonebook import PhoneLine, UnknownLine
from hookline.domain.text import require_email, require_storable
from hookline.errors import Invalid
from hookline.ports.storage import Transaction
from hookline.services import phonebook
from hookline.services.phonebook import MAX_NAME

LINE_ID = doc("Id of the line.", examples=["line_01k2j3q4r5s6t7v8w9x0y1z2a3"])
NUMBER = doc("Our number, E.164; without its country code where `region` is told.", examples=["+441400800008"])
NAME = doc("Its label, as in `phone_line_name`.", maxLength=MAX_NAME, examples=["My number"])
OWNER = doc("The user to whom calls belong that nobody takes; empty for nobody.", examples=["john.doe@company.example"])
REGION = doc("Country of numbers without a country code, ISO 3166-1; empty for the connector's.", examples=["GB"])


class PhoneLineBody(msgspec.Struct, kw_only=True):
    """Changes of a line. What is absent stays."""

    number: Annotated[str | UnsetType, NUMBER] = UNSET
    name: Annotated[str | UnsetType, NAME] = UNSET
    ownerEmail: Annotated[str | UnsetType, OWNER] = UNSET
    region: Annotated[str | UnsetType, REGION] = UNSET


class NewPhoneLineBody(PhoneLineBody, kw_only=True):
    """A line to make."""

    number: Annotated[str, NUMBER]
    name: Annotated[str, NAME]


class PhoneLineMade(msgspec.Struct):
    """The id of a line."""

    id: Annotated[str, LINE_ID]


class PhoneLineView(msgspec.Struct):
    """A line."""

    id: Annotated[str, LINE_ID]
    number: Annotated[str, NUMBER]
    name: Annotated[str, NAME]
    ownerEmail: Annotated[str, OWNER]
    region: Annotated[str, REGION]
    createdAt: Annotated[str, doc_instant("When it was made.")]
    modifiedAt: Annotated[str, doc_instant("When it was last changed.")]


class UnknownLineView(msgspec.Struct):
    """A number of ours on which calls came, and which is no line: they became no event."""

    number: Annotated[str, doc("As the phone system has it.", examples=["+441632960999"])]
    calls: Annotated[int, doc("How many calls.", examples=[3])]
    lastAt: Annotated[str, doc_instant("When the last of them came.")]


class PhoneLineList(msgspec.Struct):
    """A page of lines, by creation."""

    phoneLines: Annotated[list[PhoneLineView], doc("The lines of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]
    unknownLines: Annotated[list[UnknownLineView], doc("Numbers that calls came on and that are no line.")]


def create(asked: Asked) -> Work:
    changes = changes_of(asked.read(NewPhoneLineBody))
    return lambda tx: Reply(201, PhoneLineMade(phonebook.create_line(tx, **changes)))


def list_(asked: Asked) -> Work:
    limit, cursor = asked.query.page(r"line_[0-9a-z]{26}")

    def work(tx: Transaction) -> Reply:
        page, unknown = phonebook.list_lines(tx, limit=limit, cursor=cursor)
        return Reply(
            200,
            PhoneLineList(
                phoneLines=[_view(line) for line in page.items],
                next=page.next_cursor,
                unknownLines=[_unknown(line) for line in unknown],
            ),
        )

    return work


def read(asked: Asked) -> Work:
    return lambda tx: Reply(200, _view(phonebook.read_line(tx, asked.path["id"])))


def update(asked: Asked) -> Work:
    changes = changes_of(asked.read(PhoneLineBody))

    def work(tx: Transaction) -> Reply:
        phonebook.update_line(tx, asked.path["id"], changes)
        return Reply(204)

    return work


def delete(asked: Asked) -> Work:
    def work(tx: Transaction) -> Reply:
        phonebook.delete_line(tx, asked.path["id"])
        return Reply(204)

    return work


def changes_of(body: PhoneLineBody) -> dict[str, Any]:
    """What of a line is to be other than it is, checked as far as one can without the store.

    Raises:
        Invalid: names the first field that breaks a rule.
    """
    require_storable(msgspec.to_builtins(body))
    if isinstance(body.name, str) and not 1 <= len(body.name) <= MAX_NAME:
        raise Invalid.field("name", f"expected 1 to {MAX_NAME} characters, got {len(body.name)}.", code="out_of_range")
    if isinstance(body.ownerEmail, str) and body.ownerEmail:
        require_email(body.ownerEmail, "ownerEmail")
    region = phonebook.require_region(body.region, "region") if isinstance(body.region, str) else UNSET
    if isinstance(body.number, str) and (region or isinstance(body, NewPhoneLineBody)):  # else the line's region counts
        phonebook.line_number(body.number, region or "")
    given = {"number": body.number, "name": body.name, "owner_email": body.ownerEmail, "region": region}
    return {name: value for name, value in given.items() if value is not UNSET}


def _view(line: PhoneLine) -> PhoneLineView:
    return PhoneLineView(
        id=line.id,
        number=line.number,
        name=line.name,
        ownerEmail=line.owner_email,
        region=line.region,
        createdAt=wire_form(line.created_at),
        modifiedAt=wire_form(line.modified_at),
    )


def _unknown(line: UnknownLine) -> UnknownLineView:
    return UnknownLineView(number=line.number, calls=line.calls, lastAt=wire_form(line.last_at))


ROUTES = (
    Route(
        method="POST", path="/phone-lines", handler=create, scopes=ADMIN_ONLY, status=201,
        summary="Make a phone line.", takes=NewPhoneLineBody, gives=PhoneLineMade,
    ),
    Route(
        method="GET", path="/phone-lines", handler=list_, scopes=READERS, status=200,
        summary="List phone lines, by creation.", gives=PhoneLineList, query={**PAGING},
    ),
    Route(
        method="GET", path="/phone-lines/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a phone line.", gives=PhoneLineView,
    ),
    Route(
        method="PUT", path="/phone-lines/{id}", handler=update, scopes=ADMIN_ONLY, status=204,
        summary="Change a phone line.", takes=PhoneLineBody,
    ),
    Route(
        method="DELETE", path="/phone-lines/{id}", handler=delete, scopes=ADMIN_ONLY, status=204,
        summary="Delete a phone line: calls on it are no events any more.",
    ),
)  # fmt: skip
