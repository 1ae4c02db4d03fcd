"""The shape of the API: what a route is, what its handler is given, and what it gives back.

A handler parses, and returns the work as a plain function of a transaction. Who runs it (`api/app.py`) chooses a
reading or a writing transaction by the method, and runs work under an idempotency key once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

from hookline.api.reading import DEFAULT_LIMIT, MAX_LIMIT, Query, read_json
from hookline.domain.instants import wire_form
from hookline.domain.keys import Scope
from hookline.errors import Invalid, NotFound
from hookline.ports.storage import Page, Transaction
from hookline.services.phonebook import Kinds
from hookline.services.report_batches import Accepted
from hookline.services.webhooks import Limits

T = TypeVar("T")
U = TypeVar("U")

#: Most meetings or calls in one request.
MAX_BATCH: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, as a handler sees it."""

    path: Mapping[str, str]  # the parts of the path that are in braces
    query: Query
    body: bytes
    scope: Scope  # of the key that came with it
    limits: Limits
    kinds: Kinds = field(default_factory=dict)  # of connectors

    def read(self, shape: type[T]) -> T:
        """The body as `shape`; see `api.reading.read_json`."""
        return read_json(self.body, shape)

    def number(self, name: str, kind: str) -> int:
        """A part of the path that is the number of a thing; what is no number names nothing."""
        text = self.path[name]
        if not (text.isascii() and text.isdigit() and len(text) <= 15):
            raise NotFound(f"There is no {kind} {text[:40]!r}.")
        return int(text)

    @property
    def sees_secrets(self) -> bool:
        """Whether secrets, tokens and header values may be shown."""
        return self.scope is Scope.ADMIN


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler's work gives back. `value` is anything msgspec can write; None sends no body."""

    status: int
    value: Any = None

    def body(self) -> bytes:
        """The bytes to send."""
        return b"" if self.value is None else msgspec.json.encode(self.value)


Work = Callable[[Transaction], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps(Generic[T]):
    """Work that is too long for one transaction: `step` is done again and again, each time in one of its own."""

    begin: T  # what came of nothing yet
    step: Callable[[Transaction, T], T | None]  # from what came of all before; None: there was nothing left to do
    reply: Callable[[T], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Many reports: `accept` takes them all or none. What it leaves staged is applied in slices before the answer."""

    accept: Callable[[Transaction], Accepted]
    made: Callable[[Sequence[str]], Any]  # the answer, from the ids


Handler = Callable[[Asked], Work | Steps[Any] | Batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path."""

    method: str
    path: str  # below /v3; parts in braces are parameters
    handler: Handler
    scopes: frozenset[Scope]
    summary: str
    status: int  # of success
    takes: Any = None  # shape of the body
    gives: Any = None  # shape of the answer
    also: tuple[int, Any] | None = None  # another status of success, and the shape of its answer
    query: Mapping[str, Any] = field(default_factory=dict)  # name -> annotated type of its value
    may_hold_slashes: bool = False  # the parameter at the end of the path


ADMIN_ONLY = frozenset({Scope.ADMIN})
REPORTERS = frozenset({Scope.ADMIN, Scope.INGEST})
READERS = frozenset({Scope.ADMIN, Scope.READ})


def doc(sentence: str, **more: Any) -> msgspec.Meta:
    """What is said of a field in the API's description; `more` are further words of its JSON Schema."""
    return msgspec.Meta(description=sentence, extra_json_schema=more or None)


def doc_instant(sentence: str) -> msgspec.Meta:
    """As `doc`, of an instant."""
    return doc(sentence, format="date-time", examples=["2025-06-10T07:09:01.696Z"])


PAGING = {
    "limit": Annotated[int, doc("How many at most.", minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT)],
    "cursor": Annotated[str, doc("`next` of the page before.")],
}


def instant_or_null(instant: datetime | None) -> str | None:
    """An instant in the one form of this API."""
    return None if instant is None else wire_form(instant)


def listed(name: str, page: Page[T], show: Callable[[T], Any]) -> Reply:
    """A page of a list, under `name`."""
    return Reply(200, {name: [show(item) for item in page.items], "next": page.next_cursor})


def checked_batch(name: str, payloads: Sequence[T], check: Callable[[T], U]) -> list[U]:
    """Each of a batch, checked; a refusal names the index.

    Raises:
        Invalid: there are none or too many, or one of them is refused.
    """
    if not 1 <= len(payloads) <= MAX_BATCH:
        raise Invalid.field(name, f"expected 1 to {MAX_BATCH}, got {len(payloads)}.", code="out_of_range")
    checked = []
    for index, payload in enumerate(payloads):
        try:
            checked.append(check(payload))
        except Invalid as refusal:
            raise refusal.under(f"{name}[{index}]") from None
    return checked
