"""Users over HTTP."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from hookline.api.routes import ADMIN_ONLY, PAGING, READERS, Asked, Reply, Route, Work, doc, doc_instant, listed
from hookline.domain.calls import parse_number
from hookline.domain.instants import wire_form
from hookline.domain.phonebook import User
from hookline.domain.text import require_storable
from hookline.errors import Invalid
from hookline.ports.storage import Transaction
from hookline.services import phonebook
from hookline.services.phonebook import MAX_EXTENSION, MAX_IDENTITIES, MAX_IDENTITY, MAX_NAME

USER_ID = doc("Id of the user.", examples=["usr_01k2j3q4r5s6t7v8w9x0y1z2a3"])
EMAIL = doc("Mail address; of one user only.", format="email", examples=["john.doe@company.example"])
GIVEN_NAME = doc("First name, as in `account_name`.", maxLength=MAX_NAME, examples=["John"])
FAMILY_NAME = doc("Last name, as in `account_name`.", maxLength=MAX_NAME, examples=["Doe"])
EXTENSION = doc("Internal number of the phone.", maxLength=MAX_EXTENSION, examples=["101"])
PREFIXES = doc("How Asterisk's channels of this phone begin.", maxItems=MAX_IDENTITIES, examples=[["PJSIP/101-"]])
OUTBOUND_LINE = doc("Our number that is shown when this user calls, if none is told.", examples=["+441400800008"])
PROVIDER_IDS = doc("How phone providers call this user.", maxItems=MAX_IDENTITIES, examples=[["client:john"]])


class Phone(msgspec.Struct, kw_only=True):
    """What tells that a leg of a call is this user's."""

    extension: Annotated[str | UnsetType, EXTENSION] = UNSET
    channelPrefixes: Annotated[list[str] | UnsetType, PREFIXES] = UNSET
    outboundLine: Annotated[str | UnsetType, OUTBOUND_LINE] = UNSET
    providerIds: Annotated[list[str] | UnsetType, PROVIDER_IDS] = UNSET


class UserBody(msgspec.Struct, kw_only=True):
    """Changes of a user. What is absent stays."""

    email: Annotated[str | UnsetType, EMAIL] = UNSET
    givenName: Annotated[str | UnsetType, GIVEN_NAME] = UNSET
    familyName: Annotated[str | UnsetType, FAMILY_NAME] = UNSET
    phone: Annotated[Phone | UnsetType, doc("The user's phone.")] = UNSET


class NewUserBody(UserBody, kw_only=True):
    """A user to make, or to complete whom so far only a meeting or a line names."""

    email: Annotated[str, EMAIL]


class UserMade(msgspec.Struct):
    """The id of a user."""

    id: Annotated[str, USER_ID]


class PhoneView(msgspec.Struct):
    """What tells that a leg of a call is this user's."""

    extension: Annotated[str, EXTENSION]
    channelPrefixes: Annotated[list[str], PREFIXES]
    outboundLine: Annotated[str, OUTBOUND_LINE]
    providerIds: Annotated[list[str], PROVIDER_IDS]


class UserView(msgspec.Struct):
    """A user."""

    id: Annotated[str, USER_ID]
    email: Annotated[str, EMAIL]
    givenName: Annotated[str, GIVEN_NAME]
    familyName: Annotated[str, FAMILY_NAME]
    phone: Annotated[PhoneView, doc("The user's phone.")]
    createdAt: Annotated[str, doc_instant("When the user was first heard of.")]
    modifiedAt: Annotated[str, doc_instant("When the user was last changed.")]


class UserList(msgspec.Struct):
    """A page of users, by creation."""

    users: Annotated[list[UserView], doc("The users of this page.")]
    next: Annotated[str | None, doc("Cursor of the next page; null at the end.", examples=[None])]


def create(asked: Asked) -> Work:
    body = asked.read(NewUserBody)
    changes = changes_of(body)
    email = changes.pop("email")
    return lambda tx: Reply(201, UserMade(phonebook.create_user(tx, email, changes)))


def list_(asked: Asked) -> Work:
    limit, cursor = asked.query.page(r"usr_[0-9a-z]{26}")

    def work(tx: Transaction) -> Reply:
        return listed("users", phonebook.page_of(tx.phonebook.users(), limit=limit, cursor=cursor), _view)

    return work


def read(asked: Asked) -> Work:
    return lambda tx: Reply(200, _view(phonebook.read_user(tx, asked.path["id"])))


def update(asked: Asked) -> Work:
    changes = changes_of(asked.read(UserBody))

    def work(tx: Transaction) -> Reply:
        phonebook.update_user(tx, asked.path["id"], changes)
        return Reply(204)

    return work


def delete(asked: Asked) -> Work:
    def work(tx: Transaction) -> Reply:
        phonebook.delete_user(tx, asked.path["id"])
        return Reply(204)

    return work


def changes_of(body: UserBody) -> dict[str, Any]:
    """What of a user is to be other than it is, checked as far as one can without the store.

    Raises:
        Invalid: names the first field that breaks a rule.
    """
    require_storable(msgspec.to_builtins(body))
    phone = body.phone if isinstance(body.phone, Phone) else Phone()
    given: dict[str, Any] = {
        "email": body.email,
        "given_name": _short(body.givenName, "givenName", MAX_NAME),
        "family_name": _short(body.familyName, "familyName", MAX_NAME),
        "extension": _stripped(_short(phone.extension, "phone.extension", MAX_EXTENSION)),
        "channel_prefixes": _identities(phone.channelPrefixes, "phone.channelPrefixes"),
        "provider_ids": _identities(phone.providerIds, "phone.providerIds"),
        "outbound_line": phone.outboundLine and parse_number(phone.outboundLine, "phone.outboundLine"),
    }
    return {name: value for name, value in given.items() if value is not UNSET}


def _short(text: str | UnsetType, field: str, most: int) -> str | UnsetType:
    if isinstance(text, str) and len(text) > most:
        raise Invalid.field(field, f"expected at most {most} characters, got {len(text)}.", code="out_of_range")
    return text


def _stripped(text: str | UnsetType) -> str | UnsetType:
    return text.strip() if isinstance(text, str) else text


def _identities(many: list[str] | UnsetType, field: str) -> tuple[str, ...] | UnsetType:
    if isinstance(many, UnsetType):
        return UNSET
    if len(many) > MAX_IDENTITIES:
        raise Invalid.field(field, f"expected at most {MAX_IDENTITIES}, got {len(many)}.", code="out_of_range")
    for place, identity in enumerate(many):
        if not 1 <= len(identity.strip()) <= MAX_IDENTITY:
            raise Invalid.field(f"{field}[{place}]", f"expected 1 to {MAX_IDENTITY} characters.", code="out_of_range")
    return tuple(dict.fromkeys(many))


def _view(user: User) -> UserView:
    return UserView(
        id=user.id,
        email=user.email,
        givenName=user.given_name,
        familyName=user.family_name,
        phone=PhoneView(
            extension=user.extension,
            channelPrefixes=list(user.channel_prefixes),
            outboundLine=user.outbound_line,
            providerIds=list(user.provider_ids),
        ),
        createdAt=wire_form(user.created_at),
        modifiedAt=wire_form(user.modified_at),
    )


ROUTES = (
    Route(
        method="POST", path="/users", handler=create, scopes=ADMIN_ONLY, status=201,
        summary="Make a user, or complete one whom a meeting or a line names.", takes=NewUserBody, gives=UserMade,
    ),
    Route(
        method="GET", path="/users", handler=list_, scopes=READERS, status=200,
        summary="List users, by creation.", gives=UserList, query={**PAGING},
    ),
    Route(
        method="GET", path="/users/{id}", handler=read, scopes=READERS, status=200,
        summary="Read a user.", gives=UserView,
    ),
    Route(
        method="PUT", path="/users/{id}", handler=update, scopes=ADMIN_ONLY, status=204,
        summary="Change a user.", takes=UserBody,
    ),
    Route(
        method="DELETE", path="/users/{id}", handler=delete, scopes=ADMIN_ONLY, status=204,
        summary="Delete a user.",
    ),
)  # fmt: skip
