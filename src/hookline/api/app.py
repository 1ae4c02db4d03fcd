"""The door: HTTP in, one handler's work in one transaction, HTTP out. The only file that knows HTTP statuses."""

import errno
import hashlib
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from hookline.api import (
    calls,
    connectors,
    decided_calls,
    deliveries,
    erasure,
    meetings,
    notices,
    phone_lines,
    processes,
    users,
    webhooks,
)
from hookline.api.access import Access
from hookline.api.batches import Answered, Batches
from hookline.api.body_room import BodyRoom, HeldBody
from hookline.api.http_messages import (
    COMMON_HEADERS,
    JSON_HEADERS,
    MAX_BODY,
    NO_CONTENT,
    RETRY_AFTER,
    Answering,
    Headers,
    Request,
    Whole,
)
from hookline.api.long_work import LongWork
from hookline.api.reading import Query
from hookline.api.routes import Asked, Batch, Reply, Route, Steps, Work
from hookline.api.table import Table
from hookline.domain.keys import ApiKey
from hookline.errors import (
    HooklineError,
    Invalid,
    Kind,
    MethodNotAllowed,
    PermissionDenied,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from hookline.ports.storage import Database, Transaction
from hookline.services.idempotency import once
from hookline.services.phonebook import Kinds
from hookline.services.webhooks import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ROUTES: Final[tuple[Route, ...]] = (
    *calls.ROUTES,
    *meetings.ROUTES,
    *webhooks.ROUTES,
    *deliveries.ROUTES,
    *processes.ROUTES,
    *notices.ROUTES,
    *erasure.ROUTES,
    *users.ROUTES,
    *phone_lines.ROUTES,
    *connectors.ROUTES,
    *decided_calls.ROUTES,
)
BASE: Final = "/v3"
#: Below it, and without a key: the link is the key.
FILES: Final = BASE + "/exports/"
_BELOW: Final = BASE + "/"
#: Who runs nodes asks each of them here.
IS_UP: Final = "/healthz"
IS_READY: Final = "/readyz"
MAX_IDEMPOTENCY_KEY: Final = 255
MAX_PARAMETERS: Final = 100

_STATUS: Final[dict[Kind, int]] = {
    "invalid": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "too_large": 413,
    "mismatch": 422,
    "unavailable": 503,
}
_JSON: Final = b"application/json"
#: Of this process, or of the machine: the same request can succeed later.
_NO_DESCRIPTOR: Final = frozenset((errno.EMFILE, errno.ENFILE))
_log = logging.getLogger("hookline.api")


class Door(Answering):
    """What is asked beside ASGI can be asked through it as well. Whatever happens, there is an answer."""

    bodies: BodyRoom = BodyRoom()  # of all doors of the process

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Who may not ask is told so before the body is read."""
        headers = dict(scope["headers"])
        with self.bodies.one_body() as held:
            body = partial(_body, headers, receive, held)
            reply = await self.answer(Request(scope["method"], scope["path"], scope["query_string"], headers, body))
        length = () if reply.status == NO_CONTENT else ((b"content-length", b"%d" % len(reply.body)),)
        await send({"type": "http.response.start", "status": reply.status, "headers": (*reply.headers, *length)})
        await send({"type": "http.response.body", "body": reply.body})

    async def answer(self, request: Request) -> Whole:
        """Answer one request, whatever happens."""
        try:
            return await self.done(request)
        except HooklineError as refusal:
            return self.refused(request, refusal)
        except Exception as problem:  # noqa: BLE001  the caller gets an answer, the log the trace
            if isinstance(problem, OSError) and problem.errno in _NO_DESCRIPTOR:
                return self.refused(request, Unavailable("The server has no free file descriptor.", hint="Ask again."))
            _log.exception("request.failed method=%s path=%s", request.method, self.spoken_of(request))
            return whole(500, _FAILED)

    @abstractmethod
    def knows(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the client that asks for this was recognised a moment ago. Costs little, and asks no store."""

    @abstractmethod
    async def done(self, request: Request) -> Whole:
        """Do what is asked, or raise why not."""

    def refused(self, request: Request, refusal: HooklineError) -> Whole:
        """What is answered to a request that is refused."""
        del request
        return _refused(refusal)

    def spoken_of(self, request: Request) -> str:
        """Its path, for the log."""
        return request.path


class NoApi(Door):
    """What a node has that takes no requests: it tells how it is, and sends everybody else to the others."""

    def owns(self, path: str) -> bool:
        """Everything but the questions how it is."""
        return path not in (IS_UP, IS_READY)

    def knows(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Nobody."""
        del path, headers
        return False

    async def done(self, request: Request) -> Whole:
        """Refuse it, so that it is asked again elsewhere."""
        del request
        raise Unavailable("This node takes no requests.", hint="Ask another one, in whose HOOKLINE_ROLES there is api.")


class Api(Door):
    """All that is below /v3 but files."""

    def __init__(self, database: Database, access: Access, limits: Limits, kinds: Kinds) -> None:
        self._database = database
        self._access = access
        self._limits = limits
        self._kinds = kinds
        self._table = Table(ROUTES, BASE)
        self._long_work = LongWork()
        self._batches = Batches(database)

    def owns(self, path: str) -> bool:
        """Whether it answers what is at this path."""
        return path.startswith(_BELOW) and not path.startswith(FILES)

    def knows(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Clients whose key was found."""
        del path
        return self._access.knows(headers)

    async def done(self, request: Request) -> Whole:
        """Do what is asked with the key that came along."""
        key = await self._access.key_of(request.headers)
        route, path = self._table.find(request.method, request.path.removeprefix(BASE))
        if key.scope not in route.scopes:
            raise PermissionDenied(
                f"A key of scope {key.scope} may not do this.",
                hint=f"It takes one of scope {' or '.join(sorted(route.scopes))}.",
            )
        body = request.body if isinstance(request.body, bytes) else await request.body()
        asked = Asked(
            path=path, query=_query(request.query), body=body, scope=key.scope, limits=self._limits, kinds=self._kinds
        )
        return whole(*await self._done(route, asked, key, request))

    async def _done(self, route: Route, asked: Asked, key: ApiKey, request: Request) -> tuple[int, bytes]:
        idempotency_key = request.headers.get(b"idempotency-key")
        try:
            work = await self._long_work.check(asked.body, route.handler, asked)
            asked.query.refuse_rest()
        except Invalid as refusal:
            if idempotency_key is None:
                raise
            work = _refusing(refusal)  # in its turn: that the key was used for something else is said first

        if isinstance(work, Steps):
            return await self._step_by_step(work)

        async def write(run: Answered) -> tuple[int, bytes]:
            if route.method != "POST" or idempotency_key is None:
                return await self._database.write(run)
            query = b"?" + request.query if request.query else b""
            asked_for = f"{request.method} {request.path}".encode() + query + b"\n" + asked.body
            digest = hashlib.sha256(asked_for).hexdigest()
            return await self._database.write(once, key.id, _idempotency_key(idempotency_key), digest, run)

        if isinstance(work, Batch):
            return await self._batches.done(work, write)
        if route.method == "GET":
            return await self._database.read(_answered, work)
        return await write(partial(_answered, work=work))

    async def _step_by_step(self, steps: Steps[Any]) -> tuple[int, bytes]:
        """Each step is on disk before the next begins, and others get in between."""
        done = steps.begin
        try:
            while (more := await self._database.write(steps.step, done)) is not None:
                done = more
        except Unavailable as refusal:
            if done == steps.begin:
                raise
            raise Unavailable(refusal.message, hint="A part was done and stays so; ask again for the rest.") from None
        reply = steps.reply(done)
        return reply.status, reply.body()


def _answered(tx: Transaction, work: Work) -> tuple[int, bytes]:
    reply = work(tx)
    return reply.status, reply.body()


def _refusing(refusal: Invalid) -> Work:
    def work(_: Transaction) -> Reply:
        raise refusal

    return work


_FAILED: Final = b'{"code":"internal_error","message":"Something went wrong here; it was logged."}'


def _query(raw: bytes) -> Query:
    if not raw:
        return Query({})
    if raw.count(b"&") >= MAX_PARAMETERS:
        raise Invalid(
            f"The query: expected at most {MAX_PARAMETERS} parameters, got {raw.count(b'&') + 1}.", code="out_of_range"
        )
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(raw.decode("latin-1"), keep_blank_values=True):
        if name in parameters:
            raise Invalid.field(name[:60], "is there twice.")
        parameters[name] = value
    return Query(parameters)


def _idempotency_key(raw: bytes) -> str:
    key = raw.decode("latin-1")
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY:
        raise Invalid.field("Idempotency-Key", f"expected 1 to {MAX_IDEMPOTENCY_KEY} characters, got {len(key)}.")
    return key


async def _body(headers: dict[bytes, bytes], receive: Receive, held: HeldBody) -> bytes:
    """The whole body, unless it is too large, or too much is held already: then no more of it is read."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit():
        raise Invalid.field("Content-Length", "expected a whole number.", code="bad_request")
    if int(announced[:18]) > MAX_BODY:
        raise _too_large()
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":  # the caller has gone: half a request is none
            raise Invalid("The request ended before its body did.", code="bad_request")
        piece = message.get("body", b"")
        held.grow(len(piece))
        body += piece
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> TooLarge:
    return TooLarge(f"The body may have at most {MAX_BODY} bytes.")


def _refused(refusal: HooklineError) -> Whole:
    value: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.hint:
        value["hint"] = refusal.hint
    if refusal.fields:
        value["fields"] = [{"field": each.field, "message": each.message} for each in refusal.fields]
    return whole(_STATUS[refusal.kind], msgspec.json.encode(value), _headers_of(refusal))


def _headers_of(refusal: HooklineError) -> Headers:
    if isinstance(refusal, MethodNotAllowed):
        return ((b"allow", ", ".join(refusal.allowed).encode()),)
    if isinstance(refusal, Unauthorized):
        return ((b"www-authenticate", b"Bearer"),)
    if isinstance(refusal, Unavailable):
        return (RETRY_AFTER,)
    return ()


def whole(status: int, body: bytes, headers: Headers = (), *, kind: bytes = _JSON) -> Whole:
    """An answer with a body of this kind, or without one."""
    if not body:
        return Whole(status, headers + COMMON_HEADERS, body)
    if kind is not _JSON:
        headers = (*headers, (b"content-type", kind), *COMMON_HEADERS)
    return Whole(status, headers + JSON_HEADERS if kind is _JSON else headers, body)
