"""`hookline doctor`: is everything as it must be, and if not, what to do."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
import typer

from hookline import bootstrap
from hookline.cli.asking import NoServer, ask
from hookline.domain.instants import wire_form
from hookline.domain.webhooks import Webhook
from hookline.errors import HooklineError
from hookline.services.webhooks import list_webhooks
from hookline.settings import Settings, load_settings, strangers

_LOW_DISK_BYTES: Final = 500 * 1024 * 1024
_LARGE_LOG_BYTES: Final = 256 * 1024 * 1024
_OVERDUE: Final = timedelta(minutes=1)
#: No clock that is right shows a time before this program was written.
_EARLIEST: Final = datetime.fromisoformat("2025-01-01T00:00:00+00:00")

Grade = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    grade: Grade
    about: str
    says: str


def doctor(*, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at settings, clock, database, disk and server. Exit 1 when there is a problem."""
    findings = list(_look(load_settings(os.environ)))
    if json:
        typer.echo(msgspec.json.encode(findings).decode())
    else:
        for finding in findings:
            typer.echo(f"{finding.grade:8} {finding.about:10} {finding.says}")
    if any(finding.grade == "problem" for finding in findings):
        raise typer.Exit(1)


def _look(settings: Settings) -> Iterator[Finding]:
    yield from _at_settings()
    now = bootstrap.system_clock().now()
    late = "" if now > _EARLIEST else " That is in the past: set the clock, or signatures and starts will be wrong."
    yield Finding("problem" if late else "ok", "clock", f"It is {wire_form(now)}.{late}")
    yield from _at_disk(settings)
    if settings.database.exists():
        yield from _at_database(settings, now)
    else:
        yield Finding("warning", "database", f"{settings.database} does not exist yet; `hookline serve` makes it.")
    yield _at_server(settings)


def _at_settings() -> Iterator[Finding]:
    unknown = strangers(os.environ)
    for name in unknown:
        yield Finding("warning", "settings", f"{name} is no setting of this version; is it spelt rightly?")
    if not unknown:
        yield Finding("ok", "settings", "Every setting can be used.")


def _at_disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.database.absolute().parent
    if not folder.is_dir():
        yield Finding("problem", "disk", f"The folder {folder} does not exist; make it.")
        return
    free = shutil.disk_usage(folder).free
    low = free < _LOW_DISK_BYTES
    more = " Make room: without it, requests are answered 503." if low else ""
    yield Finding("problem" if low else "ok", "disk", f"{free // 1024**2:,} MiB are free in {folder}.{more}")
    log = settings.database.with_name(settings.database.name + "-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > _LARGE_LOG_BYTES:
        yield Finding("warning", "disk", f"{log.name} has {size // 1024**2:,} MiB; a long reader may hold it back.")


def _at_database(settings: Settings, now: datetime) -> Iterator[Finding]:
    try:
        health, webhooks = bootstrap.look_into(settings, list_webhooks)
    except HooklineError as refusal:
        yield Finding("problem", "database", refusal.message)
        return
    if health.damage:
        yield Finding("problem", "database", f"It is damaged: {health.damage}. Restore a backup.")
    elif health.schema != health.latest_schema:
        says = f"It has schema {health.schema}, this version {health.latest_schema}; run `hookline migrate`."
        yield Finding("problem" if health.schema > health.latest_schema else "warning", "database", says)
    else:
        yield Finding("ok", "database", f"{settings.database} is sound, at schema {health.schema}.")
    waits = now - health.oldest_owed_at if health.oldest_owed_at else timedelta()
    overdue = waits > _OVERDUE
    more = f" The oldest is overdue by {waits // timedelta(seconds=1):,} s: does a server run?" if overdue else ""
    yield Finding("warning" if overdue else "ok", "deliveries", f"{health.owed:,} are owed.{more}")
    if health.dead:
        says = f"{health.dead:,} are dead: GET /v3/deliveries?status=dead shows why, POST .../retry tries again."
        yield Finding("warning", "deliveries", says)
    yield from _at_webhooks(webhooks)


def _at_webhooks(webhooks: Sequence[Webhook]) -> Iterator[Finding]:
    for webhook in webhooks:
        if not webhook.is_active:
            yield Finding("warning", "webhooks", f"Webhook {webhook.id} is disabled: {webhook.disabled_reason}")


def _at_server(settings: Settings) -> Finding:
    try:
        told = ask(settings.base_url, None, "GET", "/readyz")
    except NoServer as problem:
        return Finding("warning", "server", f"{problem} Start it with `hookline serve`.")
    if told.is_fine:
        return Finding("ok", "server", f"{settings.base_url} is ready.")
    problems = told.value.get("problems", []) if isinstance(told.value, dict) else []
    return Finding("problem", "server", f"{settings.base_url} is not ready: {' '.join(problems)}")
