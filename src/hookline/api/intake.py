"""The door of phone systems that call us: each connector has an address of its own, whose token is its key.

What a system says is read by its kind of connector, which also knows by what it is to be recognised. What is taken in
is on disk before there is an answer, and to tell it again does no harm.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hookline.api.app import Door, whole
from hookline.api.http_messages import Headers, Request, Whole
from hookline.api.long_work import LongWork
from hookline.api.lookups import Lookups
from hookline.domain.phonebook import Connector
from hookline.errors import HooklineError, Invalid, MethodNotAllowed, NotFound, Unauthorized, Unavailable
from hookline.ports.clock import Clock
from hookline.ports.connectors import Acknowledging, Called, Posted, Repeating, Report
from hookline.ports.storage import Database, Transaction
from hookline.services import intake

BELOW: Final = "/in/"
METHODS: Final = ("GET", "POST")

_log = logging.getLogger("hookline.intake")


class Intake(Door):
    """All that is below /in."""

    def __init__(self, database: Database, clock: Clock, kinds: Mapping[str, Called], public_url: str) -> None:
        self._database = database
        self._clock = clock
        self._kinds = kinds
        self._public_url = public_url
        self._long_work = LongWork()
        self._lookups = Lookups(database, clock, all_tokens)
        self._known: set[str] = set()  # addresses that were asked for and exist, or did
        self._unlogged = 0  # refusals of strangers during a flood

    def owns(self, path: str) -> bool:
        """Whether it answers what is at this path."""
        return path.startswith(BELOW)

    def knows(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Phone systems by their address."""
        del headers
        return path in self._known

    def spoken_of(self, request: Request) -> str:
        """Its path, without the token."""
        return BELOW + request.path.removeprefix(BELOW).partition("/")[0][:20]

    async def done(self, request: Request) -> Whole:
        """Take in what is told, or tell and log why not."""
        connector = None
        try:
            connector = await self._connector_at(request)
            return await self._taken_in(request, connector)
        except HooklineError as refusal:
            reply = self.refused(request, refusal)
            self._log_refusal(request, connector, reply, refusal)
            if connector is not None:
                await self._note_refusal(connector, reply, refusal)
            return reply

    def _log_refusal(self, request: Request, connector: Connector | None, reply: Whole, refusal: HooklineError) -> None:
        """One line each; of strangers who send many in a second only the first get one, and the rest are counted."""
        if connector is None and self._lookups.is_flooded:
            self._unlogged += 1
            return
        _log.warning(
            "intake.refused connector=%s path=%s status=%d why=%r unlogged_before=%d",
            *(connector.id if connector is not None else "-", self.spoken_of(request)),
            *(reply.status, refusal.message, self._unlogged),
        )
        self._unlogged = 0

    def refused(self, request: Request, refusal: HooklineError) -> Whole:
        """As the API refuses; only that no key of ours is asked for."""
        reply = super().refused(request, refusal)
        return reply._replace(headers=_challenged(reply.headers)) if isinstance(refusal, Unauthorized) else reply

    async def _connector_at(self, request: Request) -> Connector:
        kind, _, token = request.path.removeprefix(BELOW).partition("/")
        found: Connector | None = None
        if await self._lookups.may_find(token) and kind in self._kinds:
            found = await self._database.read(lambda tx: tx.phonebook.connector_at(token))
        if found is None or found.kind != kind:
            self._known.discard(request.path)
            raise NotFound("No phone system has this address. Was its connector deleted, or is it mistyped?")
        self._known.add(request.path)
        if request.method not in METHODS:
            raise MethodNotAllowed(f"{request.method} Method is not allowed on this path", allowed=METHODS)
        return found

    async def _taken_in(self, request: Request, connector: Connector) -> Whole:
        kind = self._kinds[connector.kind]
        body = request.body if isinstance(request.body, bytes) else await request.body()
        posted = self._posted(request, body)
        reports = await self._long_work.check(body, _read, kind, posted, connector.settings)
        taken = await self._database.write(intake.take_in_all, intake.teller_of(connector, kind.waits), reports)
        if dropped := sum(each.dropped for each in taken):
            _log.warning("intake.dropped connector=%s facts=%d", connector.id, dropped)
        unknown = next((each.unknown_line for each in taken if each.unknown_line), "")
        if unknown:
            return self._on_no_line(kind, connector, unknown)
        return _content(kind)

    def _on_no_line(self, kind: Called, connector: Connector, number: str) -> Whole:
        """The call is counted, and becomes no event unless somebody adds the line."""
        sentence = f"No line of ours has the number {number!r}, so this call is no event."
        if not isinstance(kind, Repeating):
            raise NotFound(sentence)
        _log.warning("intake.unknown_line connector=%s number=%r", connector.id, number)
        return whole(200, sentence.encode(), kind=b"text/plain; charset=utf-8")

    async def _note_refusal(self, connector: Connector, reply: Whole, refusal: HooklineError) -> None:
        """Keep the refusal as the connector's `lastError`. A store that cannot be asked has more to tell than that."""
        sentence = f"Refused with {reply.status}: {refusal.message}"
        if reply.status >= 500:
            return
        try:
            await self._database.write(intake.note_refusal, connector.id, sentence)
        except Unavailable as trouble:
            _log.warning("intake.refusal_not_kept connector=%s error=%r", connector.id, trouble.message)

    def _posted(self, request: Request, body: bytes) -> Posted:
        query = request.query.decode("latin-1")
        return Posted(
            method=request.method,
            url=self._public_url + request.path + (f"?{query}" if query else ""),
            query=query,
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.items()},
            body=body,
            at=self._clock.now(),
        )


def all_tokens(tx: Transaction) -> frozenset[str]:
    """What is behind the kind in the addresses of all connectors."""
    return frozenset(connector.token for connector in tx.phonebook.connectors())


def _read(kind: Called, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
    """What is told. Times at the ends of the calendar cannot be counted with."""
    try:
        return kind.read(posted, settings)
    except OverflowError:
        raise Invalid("The times in it are beyond the years there are.", code="bad_request") from None


def _content(kind: Called) -> Whole:
    """What makes a system content."""
    if isinstance(kind, Acknowledging):
        return whole(200, kind.acknowledgement.body, kind=kind.acknowledgement.content_type.encode())
    return whole(204, b"")


def _challenged(headers: Headers) -> Headers:
    others = [(name, value) for name, value in headers if name != b"www-authenticate"]
    return (*others, (b"www-authenticate", b'Basic realm="hookline"'))
