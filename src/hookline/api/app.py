"""The door: HTTP in, one handler's work in one transaction, HTTP out. The only file that knows HTTP statuses."""

import hashlib
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from hookline.api import calls, deliveries, erasure, meetings, notices, processes, webhooks
from hookline.api.access import Access
from hookline.api.reading import Query
from hookline.api.routes import Asked, Reply, Route, Steps, Work
from hookline.api.table import Table
from hookline.api.whole_answers import ANSWER
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
)
BASE: Final = "/v3"
MAX_BODY: Final = 1024 * 1024
MAX_IDEMPOTENCY_KEY: Final = 255
RETRY_AFTER_SECONDS: Final = 1

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
_log = logging.getLogger("hookline.api")


class Api:
    """The ASGI application below /v3."""

    def __init__(self, database: Database, access: Access, limits: Limits) -> None:
        self._database = database
        self._access = access
        self._limits = limits
        self._table = Table(ROUTES, BASE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            reply = await self._answer(scope, receive)
        except HooklineError as refusal:
            reply = _refused(refusal)
        except Exception:  # noqa: BLE001  the caller gets an answer, the log the trace
            _log.exception("request.failed method=%s path=%s", scope["method"], scope["path"])
            reply = _FAILED
        await _send(reply, scope, send)

    async def _answer(self, scope: Scope, receive: Receive) -> "_Raw":
        headers: dict[bytes, bytes] = dict(scope["headers"])
        key = await self._access.key_of(headers)
        route, path = self._table.find(scope["method"], scope["path"].removeprefix(BASE))
        if key.scope not in route.scopes:
            raise PermissionDenied(
                f"A key of scope {key.scope} may not do this.",
                hint=f"It takes one of scope {' or '.join(sorted(route.scopes))}.",
            )
        asked = Asked(
            path=path,
            query=_query(scope["query_string"]),
            body=await _body(headers, receive),
            scope=key.scope,
            limits=self._limits,
        )
        return await self._done(route, asked, key, headers.get(b"idempotency-key"), scope)

    async def _done(
        self, route: Route, asked: Asked, key: ApiKey, idempotency_key: bytes | None, scope: Scope
    ) -> "_Raw":
        try:
            work = route.handler(asked)
            if route.path != "/webhooks" or route.method != "GET":  # Brevo's clients send it parameters of their own
                asked.query.refuse_rest()
        except Invalid as refusal:
            if idempotency_key is None:
                raise
            work = _refusing(refusal)  # in its turn: that the key was used for something else is said first

        if isinstance(work, Steps):
            return await self._step_by_step(work)

        def run(tx: Transaction) -> tuple[int, bytes]:
            reply = work(tx)
            return reply.status, reply.body()

        if route.method == "GET":
            return _Raw(*await self._database.read(run))
        if route.method != "POST" or idempotency_key is None:
            return _Raw(*await self._database.write(run))
        request = f"{scope['method']} {scope['path']}\n".encode() + asked.body
        return _Raw(
            *await self._database.write(
                once, key.id, _idempotency_key(idempotency_key), hashlib.sha256(request).hexdigest(), run
            )
        )

    async def _step_by_step(self, steps: Steps[Any]) -> "_Raw":
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
        return _Raw(reply.status, reply.body())


def _refusing(refusal: Invalid) -> Work:
    def work(_: Transaction) -> Reply:
        raise refusal

    return work


class _Raw:
    """An answer as bytes."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.status = status
        self.body = body
        self.headers = headers


_FAILED: Final = _Raw(500, b'{"code":"internal_error","message":"Something went wrong here; it was logged."}')


def _query(raw: bytes) -> Query:
    if not raw:
        return Query({})
    given = parse_qsl(raw.decode("latin-1"), keep_blank_values=True)
    parameters = dict(given)
    if len(parameters) < len(given):
        twice = next(name for name in parameters if sum(name == each for each, _ in given) > 1)
        raise Invalid.field(twice[:60], "is there twice.")
    return Query(parameters)


def _idempotency_key(raw: bytes) -> str:
    key = raw.decode("latin-1")
    if not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY:
        raise Invalid.field("Idempotency-Key", f"expected 1 to {MAX_IDEMPOTENCY_KEY} characters, got {len(key)}.")
    return key


async def _body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """The whole body, unless it is too large: then no more of it is read."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit():
        raise Invalid.field("Content-Length", "expected a whole number.", code="bad_request")
    if int(announced[:18]) > MAX_BODY:
        raise _too_large()
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":  # the caller has gone: half a request is none
            raise Invalid("The request ended before its body did.", code="bad_request")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            raise _too_large()
    return body


def _too_large() -> TooLarge:
    return TooLarge(f"The body may have at most {MAX_BODY} bytes.")


def _refused(refusal: HooklineError) -> _Raw:
    value: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.hint:
        value["hint"] = refusal.hint
    if refusal.fields:
        value["fields"] = [{"field": each.field, "message": each.message} for each in refusal.fields]
    return _Raw(_STATUS[refusal.kind], msgspec.json.encode(value), _headers_of(refusal))


def _headers_of(refusal: HooklineError) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(refusal, MethodNotAllowed):
        return ((b"allow", ", ".join(refusal.allowed).encode()),)
    if isinstance(refusal, Unauthorized):
        return ((b"www-authenticate", b"Bearer"),)
    if isinstance(refusal, Unavailable):
        return ((b"retry-after", b"%d" % RETRY_AFTER_SECONDS),)
    return ()


async def _send(reply: _Raw, scope: Scope, send: Send) -> None:
    headers = [*reply.headers]
    if reply.body:
        headers.append((b"content-type", b"application/json"))
    if reply.status != 204:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    answer = scope.get(ANSWER)
    if answer is not None and answer(reply.status, headers, reply.body):
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
