"""`hookline replay`: what a receiver missed is sent to it again, by a running server; here one asks, and watches."""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hookline.bootstrap import parts
from hookline.cli.asking import NoServer, admin_key, ask
from hookline.cli.failed import Failed
from hookline.domain.instants import parse_instant
from hookline.domain.processes import Only, ProcessStatus
from hookline.errors import Invalid
from hookline.settings import load_settings

_LOOK_EVERY: Final = timedelta(milliseconds=200)


def replay(
    webhook: Annotated[int, typer.Argument(metavar="WEBHOOK", min=1, help="Id of the webhook.")],
    *,
    since: Annotated[str, typer.Option(help="From when on, such as 2025-06-10T09:00:00+02:00.")],
    until: Annotated[str | None, typer.Option(help="Before when; now, if not told.")] = None,
    only: Annotated[Only, typer.Option(help="What was not delivered, or all that the webhook wants.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    api_key: Annotated[str | None, typer.Option(help="An admin key, if not that of HOOKLINE_API_KEY.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, and do not ask first.")] = False,
) -> None:
    """Send to WEBHOOK again what was kept from --since on and before --until, and watch it.

    The same webhook-id and bytes as ever, a hundred a second at most. Ctrl-C ends the watching, not the replay.
    """
    settings = load_settings(os.environ)
    wanted: dict[str, Any] = {"since": _instant(since, "--since"), "only": only}
    if until is not None:
        wanted["until"] = _instant(until, "--until")
    server = _Server(settings.base_url, admin_key(api_key, settings), webhook)
    counted = server.count(wanted)
    if not json:
        typer.echo(f"{_deliveries(counted)} of webhook {webhook} to send again.")
    if counted and not (yes or json or _is_agreed()):
        raise Failed("Nothing was sent again.")
    process = None
    if counted:
        process_id, counted = server.begin(wanted)
        process = asyncio.run(_watched(server, process_id))
    _tell(counted, process, as_json=json)
    if process is not None and process["status"] != ProcessStatus.COMPLETED:
        raise typer.Exit(1)


class _Server:
    """The server, as far as replays of one webhook go."""

    def __init__(self, base_url: str, key: str, webhook: int) -> None:
        self._base_url = base_url
        self._key = key
        self._path = f"/v3/webhooks/{webhook}/replay"

    def count(self, wanted: dict[str, Any]) -> int:
        """How many deliveries it would be."""
        told = ask(self._base_url, self._key, "POST", self._path, {**wanted, "dryRun": True}).fine()
        return int(told["count"])

    def begin(self, wanted: dict[str, Any]) -> tuple[int, int]:
        """Begin, and tell the id of the process, and how many deliveries it is now."""
        told = ask(self._base_url, self._key, "POST", self._path, wanted).fine()
        return int(told["processId"]), int(told["count"])

    def process(self, process_id: int) -> dict[str, Any]:
        """How far it is. The server may be gone meanwhile: then the replay waits for it, and we do not."""
        try:
            told: dict[str, Any] = ask(self._base_url, self._key, "GET", f"/v3/processes/{process_id}").fine()
        except NoServer as problem:
            raise Failed(
                f"{problem} Process {process_id} goes on when it is back.",
                hint=f"GET /v3/processes/{process_id} tells how far it is.",
            ) from None
        return told


def _instant(text: str, option: str) -> str:
    """The text, if it is an instant."""
    try:
        parse_instant(text, option)
    except Invalid as refusal:
        raise typer.BadParameter(refusal.fields[0].message, param_hint=option) from None
    return text


def _is_agreed() -> bool:
    """Whether somebody at a terminal agrees; where nobody can be asked, whoever called it knew what they did."""
    return not (sys.stdin.isatty() and sys.stdout.isatty()) or typer.confirm("Begin?")


async def _watched(server: _Server, process_id: int) -> dict[str, Any]:
    """The process when it has ended. On a terminal a bar shows how far it is."""
    clock, console = parts.system_clock(), Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Making due again", total=None)
        while (process := server.process(process_id))["status"] in (ProcessStatus.QUEUED, ProcessStatus.IN_PROCESS):
            bar.update(task, total=process["total"], completed=process["done"])
            await clock.sleep_until(clock.now() + _LOOK_EVERY)
    return process


def _tell(counted: int, process: dict[str, Any] | None, *, as_json: bool) -> None:
    if as_json:
        ended = process or {"id": None, "status": ProcessStatus.COMPLETED, "info": "There was nothing to send again."}
        typer.echo(
            msgspec.json.encode(
                {"processId": ended["id"], "count": counted, "status": ended["status"], "info": ended["info"]}
            )
        )
    elif process is not None:
        typer.echo(f"Process {process['id']} {process['status']}: {process['info']}")


def _deliveries(count: int) -> str:
    return f"{count:,} delivery" if count == 1 else f"{count:,} deliveries"
