"""Figures that pages tell are those of the code: who turns one finds every sentence that names it."""

import inspect
from datetime import timedelta
from typing import Any, Final

import pytest

from hookline.adapters import http_answer
from hookline.adapters.http_sender import HttpSender
from hookline.adapters.sql.grouped import GROUP
from hookline.adapters.sql.session import ROWS_PER_GROUP
from hookline.api import access, app, http_messages, reading, webhooks
from hookline.api.routes import MAX_BATCH
from hookline.bootstrap import server
from hookline.domain import deliveries, keys, signatures
from hookline.domain import webhooks as webhook_rules
from hookline.domain.backoff import MAX_RETRY_AFTER_SECONDS
from hookline.engine import lanes, scheduler
from hookline.engine.staged_reports import LEFT_FOR
from hookline.ports.sender import MAX_ANSWER_BYTES
from hookline.receiver import Receiver
from hookline.services.idempotency import REMEMBERED_FOR
from hookline.services.publishing import ROWS_PER_COMMIT
from hookline.services.webhooks import MAX_SECRETS
from hookline.settings import SHORTEST_KEY
from tests.docs import pages


def default(function: Any, name: str) -> Any:
    return inspect.signature(function).parameters[name].default


IDLE: Final = default(HttpSender, "idle_seconds")
IN_ALL: Final = default(HttpSender, "connections_in_all")
CONNECT: Final = default(HttpSender, "connect_seconds")
KIB: Final = 1024

FIGURES: Final = {
    "reference/delivery.md": (
        f"Connections stay open for {IDLE:g} seconds",
        f"at most {server.CONNECTIONS_PER_HOST} to one origin",
        f"and {IN_ALL} in all",
        f"(1 to {webhook_rules.MAX_TIMEOUT_SECONDS}, {webhook_rules.DEFAULT_TIMEOUT_SECONDS} if not said)",
        f"At most {CONNECT:g} seconds",
        f"The first {MAX_ANSWER_BYTES // KIB} KiB",
        f"at most {MAX_RETRY_AFTER_SECONDS // 3600} hours",
        f"up to {webhook_rules.MAX_HEADERS}.",
        f"up to {lanes.CONCURRENCY} at a time",
    ),
    "reference/api.md": (
        f"(1 to {app.MAX_IDEMPOTENCY_KEY} characters)",
        f"Within {REMEMBERED_FOR // timedelta(hours=1)} hours",
        f"(1 to {reading.MAX_LIMIT}, {reading.DEFAULT_LIMIT} if not said)",
        f"at most {webhook_rules.MAX_URL} characters",
        f"at most {webhook_rules.MAX_DESCRIPTION} characters",
        f"up to {webhook_rules.MAX_HEADERS}",
        f"| {webhook_rules.DEFAULT_TIMEOUT_SECONDS} | 1 to {webhook_rules.MAX_TIMEOUT_SECONDS} |",
        f"(0 to {webhooks.MAX_OVERLAP_HOURS}, ",
        f"Bodies may have up to {http_messages.MAX_BODY // KIB**2} MiB",
    ),
    "reference/errors.md": (f"({http_messages.MAX_BODY:,} bytes)",),
    "reference/settings.md": (f"at least {SHORTEST_KEY} visible",),
    "reference/receiver.md": (f"tolerance_seconds={default(Receiver, 'tolerance_seconds')}",),
    "explanation/architecture.md": (
        f"up to {GROUP}, inside one commit",
        f"{lanes.CONCURRENCY} attempts under way and {lanes.CAPACITY} claims",
        f"fires timers, {scheduler.BATCH} in a transaction",
        f"once it has {ROWS_PER_GROUP} rows",
        f"whose request died, after {LEFT_FOR // timedelta(seconds=1)} seconds",
    ),
    "explanation/delivery-states.md": (f"a lease of {deliveries.LEASE // timedelta(seconds=1)} seconds",),
    "explanation/durability.md": (
        f"({server.GRACE_SECONDS} seconds at most)",
        f"in about {ROWS_PER_COMMIT} rows",
        f"up to {MAX_BATCH}, is several",
        f"after {LEFT_FOR // timedelta(seconds=1)} seconds",
    ),
    "explanation/security.md": (
        f"a secret of {signatures.SECRET_BYTES} random bytes",
        f"`hl_` and {keys.KEY_BYTES} random bytes",
        f"{http_answer.MAX_HEAD_BYTES // KIB} KiB and {http_answer.MAX_HEADERS} headers of head",
        f"{MAX_ANSWER_BYTES // KIB} KiB of body",
    ),
    "decisions/0002-one-writer-with-group-commit.md": (f"up to {GROUP}, runs them",),
    "explanation/several-nodes.md": (
        f"{lanes.CONCURRENCY} attempts under way at one webhook**, {lanes.CAPACITY} claims",
    ),
    "how-to/run-with-kubernetes.md": (
        f"open requests ({server.GRACE_SECONDS} s) and attempts under way ({webhook_rules.MAX_TIMEOUT_SECONDS} s)",
    ),
    "how-to/run-with-docker.md": (
        f"open requests ({server.GRACE_SECONDS} s) and attempts under way ({webhook_rules.MAX_TIMEOUT_SECONDS} s)",
    ),
    "how-to/run-with-systemd.md": (
        f"Open requests ({server.GRACE_SECONDS} s) and attempts under way ({webhook_rules.MAX_TIMEOUT_SECONDS} s)",
    ),
    "how-to/rotate-a-secret.md": (f"{webhooks.MAX_OVERLAP_HOURS} at most", f"the {MAX_SECRETS} latest at most"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_on_a_page_are_those_of_the_code(name: str) -> None:
    text = " ".join(pages.page(name).split())
    assert [figure for figure in FIGURES[name] if figure not in text] == []


def test_a_removed_key_is_believed_for_as_long_as_the_pages_say() -> None:
    assert access._BELIEVED_SECONDS == 2
    assert "believed for two seconds more" in pages.page("reference/api.md")
    assert "within two seconds" in pages.page("reference/command-line.md")
