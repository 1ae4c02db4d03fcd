"""`hookline doctor`: is everything as it must be, and if not, what to do. It changes nothing."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import typer
from rich.console import Console

from hookline.adapters.sql.health import Backlog, Health
from hookline.adapters.sql.places import Place
from hookline.adapters.sql.sqlite_file import beside, network_file_system
from hookline.bootstrap import parts, storage
from hookline.cli.asking import NoServer, ask
from hookline.domain.instants import spoken, wire_form
from hookline.errors import HooklineError, Unavailable
from hookline.settings import Settings, WrongSetting, load_settings, strangers

_MIB: Final = 1024 * 1024
_LOW_DISK_BYTES: Final = 2048 * _MIB
_FULL_DISK_BYTES: Final = 256 * _MIB
_LARGE_LOG_BYTES: Final = 256 * _MIB
_LATE: Final = timedelta(minutes=1)
_FAR_TOO_LATE: Final = timedelta(hours=1)
#: A clock may be set back by this much without anybody noticing.
_SLACK: Final = timedelta(minutes=1)
#: No clock that is right shows a time before this program was written.
_EARLIEST: Final = datetime.fromisoformat("2025-01-01T00:00:00+00:00")

Grade = Literal["ok", "warning", "problem"]
_COLOURS: Final[Mapping[Grade, str]] = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do about it."""

    grade: Grade
    about: str
    says: str


def doctor(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at settings, clock, disk, database, deliveries, webhooks and server. Exit 1 when there is a problem."""
    findings = []
    screen = Console(highlight=False, soft_wrap=True, markup=False)
    with Console(stderr=True).status("Looking at everything"):
        for finding in _look(os.environ):
            findings.append(finding)
            if not json:
                screen.print(f"{finding.grade:9}", style=_COLOURS[finding.grade], end="")
                screen.print(f"{finding.about:12}{finding.says}")
    if json:
        typer.echo(msgspec.json.encode(findings))
    if any(finding.grade == "problem" for finding in findings):
        raise typer.Exit(1)


def _look(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name in strangers(environment):
        yield Finding("warning", "settings", f"{name} is no setting of this version. Is it spelt rightly?")
    try:
        settings = load_settings(environment)
    except WrongSetting as refusal:
        yield Finding("problem", "settings", str(refusal))
        return
    yield Finding("ok", "settings", "Every value can be used.")
    try:
        place = storage.place_of(settings)
    except Unavailable as refusal:
        yield Finding("problem", "database", f"{refusal.message} {refusal.hint}")
        return
    if place.file is not None:
        yield from _at_disk(place.file)
    now = parts.system_clock().now()
    health = None
    try:
        if place.exists():
            health = place.look_into()
    except HooklineError as refusal:
        hint = (
            refusal.hint
            if "-wal" in refusal.hint
            else "If it is damaged, restore a backup."
            if place.file
            else "Look at HOOKLINE_DATABASE, and at the server."
        )
        message = refusal.for_operator if isinstance(refusal, Unavailable) else refusal.message
        yield Finding("problem", "database", f"{message} {hint}")
    else:
        yield _at_database(place, health)
        yield from _at_copies(place)
        yield from _at_server_of_databases(place)
    backlog = health.backlog if health else None
    yield _at_clock(now, backlog)
    if backlog:
        yield from _at_deliveries(now, backlog)
        yield from _at_webhooks(backlog)
    yield _at_server(settings)


def _at_disk(database: Path) -> Iterator[Finding]:
    folder = database.absolute().parent
    if not folder.is_dir():
        yield Finding("problem", "disk", f"There is no folder {folder}: make it, or see HOOKLINE_DATABASE.")
        return
    if not os.access(folder, os.W_OK) or (database.exists() and not os.access(database, os.W_OK)):
        says = f"{database} cannot be written by this user: change the mode or owner of file and folder."
        yield Finding("problem", "disk", says)
    free = shutil.disk_usage(folder).free
    grade: Grade = "problem" if free < _FULL_DISK_BYTES else "warning" if free < _LOW_DISK_BYTES else "ok"
    more = "" if grade == "ok" else " Make room: on a full disk every change is answered 503."
    yield Finding(grade, "disk", f"{free // _MIB:,} MiB are free in {folder}.{more}")
    yield from _at_file(database)
    log = beside(database, "-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > _LARGE_LOG_BYTES:
        says = f"{log.name} has {size // _MIB:,} MiB: somebody reads the database for very long. End what does."
        yield Finding("warning", "disk", says)
    else:
        yield Finding("ok", "disk", f"The log beside the database has {size // _MIB:,} MiB.")


def _at_file(database: Path) -> Iterator[Finding]:
    network = network_file_system(database)
    if network:
        says = f"{database} is on {network}, a network file system, which may lose what it confirmed. Move it."
        yield Finding("warning", "disk", says)
    readable = [file for file in (beside(database, end) for end in ("", "-wal", "-shm", ".lock")) if _is_open(file)]
    if readable:
        names = " ".join(map(str, readable))
        says = f"Other users of this machine can read {names}, which hold secrets: chmod 600 {names}"
        yield Finding("warning", "disk", says)


def _is_open(file: Path) -> bool:
    return file.exists() and file.stat().st_mode & 0o077 != 0


def _at_database(place: Place, health: Health | None) -> Finding:
    if health is None:
        says = f"There is no {place} yet; `hookline serve` makes it. Or look at HOOKLINE_DATABASE."
        return Finding("warning", "database", says)
    if health.damage:
        return Finding("problem", "database", f"{place} is damaged: {health.damage}. Restore a backup.")
    if health.schema > health.latest_schema and not health.is_known:
        says = f"It has schema {health.schema}, this version knows up to {health.latest_schema}: start a later version."
        return Finding("problem", "database", says)
    if health.schema < health.latest_schema:
        says = f"It has schema {health.schema} of {health.latest_schema}: run `hookline migrate`, or start the server."
        return Finding("warning", "database", says)
    newer = ", of a later version beside which this one works" if health.schema > health.latest_schema else ""
    return Finding("ok", "database", f"{place} is sound, and has schema {health.schema}{newer}.")


def _at_copies(place: Place) -> Iterator[Finding]:
    refusal = place.marks().refusal(str(place))
    if refusal is not None:
        yield Finding("problem", "database", f"{refusal.message} {refusal.hint}")


def _at_server_of_databases(place: Place) -> Iterator[Finding]:
    for concern in place.concerns():
        yield Finding(concern.grade, "postgresql", concern.says)


def _at_clock(now: datetime, backlog: Backlog | None) -> Finding:
    newest = backlog.newest_event_at if backlog else None
    if now < _EARLIEST:
        says = f"It shows {wire_form(now)}, which is long past: set it. Receivers refuse old signatures."
        return Finding("problem", "clock", says)
    if newest is not None and now < newest - _SLACK:
        says = (
            f"It shows {wire_form(now)}, the latest event {wire_form(newest)}: one of the two was wrong. Set the clock."
        )
        return Finding("problem", "clock", says)
    return Finding("ok", "clock", f"It shows {wire_form(now)}.")


def _at_deliveries(now: datetime, backlog: Backlog) -> Iterator[Finding]:
    late = now - backlog.oldest_due_at if backlog.oldest_due_at else timedelta()
    grade: Grade = "problem" if late > _FAR_TOO_LATE else "warning" if late > _LATE else "ok"
    more = "" if grade == "ok" else f" The oldest is late by {late // timedelta(seconds=1):,} s: is a server running?"
    waiting = f", {backlog.waiting:,} of them behind an earlier event of their subject" if backlog.waiting else ""
    yield Finding(grade, "deliveries", f"{_number(backlog.owed)} owed{waiting}.{more}")
    if backlog.dead:
        says = f"{_number(backlog.dead)} dead. GET /v3/deliveries?status=dead shows why; POST .../ID/retry tries again."
        yield Finding("warning", "deliveries", says)
    else:
        yield Finding("ok", "deliveries", "None is dead.")


def _number(count: int) -> str:
    return "1 is" if count == 1 else f"{count:,} are"


def _at_webhooks(backlog: Backlog) -> Iterator[Finding]:
    for webhook_id, since in backlog.failing:
        says = (
            f"Every attempt at webhook {webhook_id} has failed since {spoken(since)}."
            f" GET /v3/deliveries?webhookId={webhook_id} shows why."
        )
        yield Finding("warning", "webhooks", says)
    for webhook_id, reason in backlog.disabled:
        says = (
            f'Webhook {webhook_id} is disabled: {reason} PUT /v3/webhooks/{webhook_id} {{"isActive": true}} enables it.'
        )
        yield Finding("warning", "webhooks", says)
    if not backlog.failing and not backlog.disabled:
        yield Finding("ok", "webhooks", "None is failing, and none is disabled.")


def _at_server(settings: Settings) -> Finding:
    try:
        told = ask(settings.base_url, None, "GET", "/readyz")
    except NoServer as problem:
        return Finding("warning", "server", f"{problem} {problem.hint}")
    value = told.value if isinstance(told.value, dict) else {}
    if told.is_fine and value.get("status") == "ready":
        return Finding("ok", "server", f"{settings.base_url} is ready.")
    if "problems" not in value:
        return Finding("problem", "server", f"Something else answers at {settings.base_url}. Look at HOOKLINE_LISTEN.")
    says = f"{settings.base_url} is not ready: {' '.join(map(str, value['problems']))} Look at its log."
    return Finding("problem", "server", says)
