"""Everything that one server answers: the API below /v3, its description, and whether the server is well."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import cache, cached_property
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hookline.api.app import FILES, IS_READY, IS_UP, Door, Receive, Scope, Send
from hookline.api.http_messages import COMMON_HEADERS
from hookline.api.lookups import Lookups
from hookline.api.markup import CONTENT_SECURITY_POLICY
from hookline.api.openapi import openapi_document
from hookline.api.reference import reference_page, welcome_page
from hookline.domain.processes import Process
from hookline.errors import HooklineError, NotFound
from hookline.ports.clock import Clock
from hookline.ports.storage import Database
from hookline.services import exports

_JSON_HEADERS: Final = {name.decode(): value.decode() for name, value in COMMON_HEADERS}
_PAGE_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_FILE_HEADERS: Final = {
    "cache-control": "private, no-store",
    "content-type": "text/csv; charset=utf-8; header=present",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}


class Site:
    """The ASGI application of a server. The API does not go through Starlette: it is the hot path."""

    def __init__(
        self,
        api: Door,
        intake: Door,
        database: Database,
        failing: Callable[[], list[str]],
        *,
        store_problem: Callable[[], Awaitable[str]],
        sender_problem: Callable[[], str],
        public_url: str,
        clock: Clock,
    ) -> None:
        """`failing` names the loops of the engine that do not run; the problems are sentences, "" for none."""
        self.api = api
        self._intake = intake
        self._database = database
        self._failing = failing
        self._store_problem = store_problem
        self._sender_problem = sender_problem
        self._public_url = public_url
        self._lookups = Lookups(database, clock, exports.tokens_of_files)
        self._rest = Starlette(
            routes=[
                Route("/", self._welcome),
                Route(IS_UP, self._is_up),
                Route(IS_READY, self._is_ready),
                Route("/openapi.json", self._describe),
                Route("/docs", self._reference),
                Route(FILES + "{token}.csv", self._file),
            ],
            exception_handlers={HTTPException: _refuse, HooklineError: _refuse_file},
        )
        self._rest.router.redirect_slashes = False  # to an address that the client's Host header makes up

    def knows(self, path: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether to answer before strangers: who is known, and who asks how the server is."""
        door = self._door_at(path)
        return path in (IS_UP, IS_READY) if door is None else door.knows(path, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"] if scope["type"] == "http" else ""
        await (self._door_at(path) or self._rest)(scope, receive, send)

    def _door_at(self, path: str) -> Door | None:
        if self.api.owns(path):
            return self.api
        return self._intake if self._intake.owns(path) else None

    async def _is_up(self, _: Request) -> Response:
        return _json({"status": "up"})

    async def _is_ready(self, _: Request) -> Response:
        problems = [f"The loop {name} does not run." for name in self._failing()]
        problems += [problem for problem in (self._sender_problem(), await self._store_problem()) if problem]
        status = "not ready" if problems else "ready"
        return _json({"status": status, "problems": problems}, 503 if problems else 200)

    # These three are no coroutines, so Starlette runs them in a thread: the first request of each renders it.

    def _describe(self, _: Request) -> Response:
        return description(self._public_url).openapi

    def _reference(self, _: Request) -> Response:
        return description(self._public_url).reference

    def _welcome(self, _: Request) -> Response:
        return description(self._public_url).welcome

    async def _file(self, request: Request) -> Response:
        token = request.path_params["token"]
        if not await self._lookups.may_find(token):
            raise exports.no_such_file()
        process, size = await self._database.read(exports.file_of, token)
        headers = {
            **_FILE_HEADERS,
            "content-disposition": f'attachment; filename="hookline-export-{process.id}.csv"',
            "content-length": str(size),
        }
        return StreamingResponse(self._pieces(process), headers=headers)

    async def _pieces(self, process: Process) -> AsyncIterator[bytes]:
        """The file, of which one piece at a time is in memory."""
        number = 0
        while (piece := await self._database.read(exports.read_part, process, number)) is not None:
            yield piece
            number += 1


class Description:
    """What is served of the API's description. Each response is rendered once, when it is first asked for, and all
    clients that are sent one at the same time share its bytes.
    """

    def __init__(self, public_url: str) -> None:
        self._document = openapi_document(public_url)

    @cached_property
    def openapi(self) -> Response:
        """`/openapi.json`."""
        return JSONResponse(self._document, headers=_JSON_HEADERS)

    @cached_property
    def reference(self) -> Response:
        """The page with every route, field and error."""
        return HTMLResponse(reference_page(self._document), headers=_PAGE_HEADERS)

    @cached_property
    def welcome(self) -> Response:
        """The page at `/`."""
        return HTMLResponse(welcome_page(self._document), headers=_PAGE_HEADERS)


@cache
def description(public_url: str) -> Description:
    """The description of the API of a server with this URL. To make one takes some 50 ms of processor time."""
    return Description(public_url)


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(value, status, {**_JSON_HEADERS, **(headers or {})})


async def _refuse_file(_: Request, problem: Exception) -> Response:
    """A file that is not there, or a store that cannot tell."""
    assert isinstance(problem, HooklineError)
    status = 404 if isinstance(problem, NotFound) else 503
    return _json({"code": problem.code, "message": problem.message}, status)


async def _refuse(request: Request, problem: Exception) -> Response:
    """Outside /v3 too, an error is the same kind of JSON."""
    assert isinstance(problem, HTTPException)
    code, message = "document_not_found", f"There is nothing at {request.url.path[:80]!r}."
    if problem.status_code == 405:
        code, message = "method_not_allowed", f"{request.method} Method is not allowed on this path"
    return _json({"code": code, "message": message}, problem.status_code, problem.headers)
