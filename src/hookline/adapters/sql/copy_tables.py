"""The tables that a copy of a store carries over, and how their rows are asked for in the order of their keys.

Both databases have them with the same columns, and sort the keys alike: numbers, and text byte by byte. So where a copy
stands can be read off what has arrived. No connection is known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

#: What is not carried over: it is about one database as such, and each of the two has its own.
OF_ONE_DATABASE: Final = frozenset({"schema_version", "writing", "part", "lease", "moving", "sqlite_sequence"})


@dataclass(frozen=True, slots=True)
class Copied:
    """One table: its columns, of which the first so many are its key."""

    name: str
    columns: tuple[str, ...]
    key_length: int = field(default=1, kw_only=True)
    numbers: bool = field(default=False, kw_only=True)  # whether the database counts its keys, and uses none again

    @property
    def key(self) -> tuple[str, ...]:
        """The columns by which its rows are in order."""
        return self.columns[: self.key_length]

    @property
    def select(self) -> str:
        """All rows in order."""
        return f"SELECT {_listed(self.columns)} FROM {self.name} ORDER BY {_listed(self.key)}"

    @property
    def select_after(self) -> str:
        """All rows behind a key, in order."""
        marks = ", ".join("?" * self.key_length)
        return (
            f"SELECT {_listed(self.columns)} FROM {self.name} WHERE ({_listed(self.key)}) > ({marks})"
            f" ORDER BY {_listed(self.key)}"
        )

    @property
    def last_key(self) -> str:
        """The key of the last row."""
        descending = ", ".join(f"{column} DESC" for column in self.key)
        return f"SELECT {_listed(self.key)} FROM {self.name} ORDER BY {descending} LIMIT 1"

    @property
    def count(self) -> str:
        """How many rows there are."""
        return f"SELECT COUNT(*) FROM {self.name}"

    @property
    def has_rows(self) -> str:
        """Whether there is any row."""
        return f"SELECT EXISTS (SELECT 1 FROM {self.name})"

    @property
    def highest(self) -> str:
        """The highest number that is there; 0 when there is none."""
        return f"SELECT COALESCE(MAX({self.columns[0]}), 0) FROM {self.name}"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns)


#: In the order in which they are carried over.
TABLES: Final = (
    Copied(
        "webhook",
        (
            *("id", "url", "events", "description", "bearer_token", "headers", "retry_policy", "timeout_seconds"),
            *("secrets", "is_active", "disabled_reason", "created_at", "modified_at", "rests_until", "batched"),
            *("ordered", "rate_limit_per_second", "filter", "failing_since", "warned_at"),
        ),
        numbers=True,
    ),
    Copied(
        "webhook_history",
        (
            *("position", "webhook_id", "after_event", "since", "events", "filter", "is_active", "disabled_reason"),
            "removed",
        ),
        numbers=True,
    ),
    Copied("api_key", ("id", "name", "scope", "digest", "created_at")),
    Copied(
        "meeting",
        (
            *("id", "account_email", "start_at", "end_at", "payload", "booked_body", "version", "sequence"),
            *("created_at", "modified_at", "cancelled_at", "cancel_reason"),
        ),
    ),
    Copied("meeting_participant", ("email", "meeting_id", "is_former"), key_length=2),
    Copied("timer", ("meeting_id", "version", "due_at")),
    Copied(
        "user_account",
        (
            *("id", "email", "address", "given_name", "family_name", "extension", "channel_prefixes"),
            *("outbound_line", "provider_ids", "is_set_up", "created_at", "modified_at"),
        ),
    ),
    Copied("phone_line", ("id", "number", "name", "owner_email", "region", "created_at", "modified_at")),
    Copied(
        "connector",
        (
            *("id", "kind", "name", "settings", "token", "token_digest", "state", "last_event_at", "last_error"),
            *("created_at", "modified_at", "last_error_at", "decided", "events", "no_events", "refused", "gaps"),
            "last_gap_at",
        ),
    ),
    Copied("unknown_line", ("number", "calls", "last_at")),
    Copied("unknown_number", ("connector_id", "form", "id", "calls", "created_at", "last_at"), key_length=2),
    Copied(
        "call",
        (
            *("id", "payload", "type", "phone_line", "phone_number", "source", "created_at"),
            *("started_at", "answered_at", "ended_at", "end_is_estimated", "connector_id", "external_id"),
            "legs",
        ),
    ),
    Copied("call_number", ("number", "call_id"), key_length=2),
    Copied(
        "decided_call",
        (
            *("connector_id", "position", "external_id", "decided_at", "ended_at", "end_is_estimated", "call_id"),
            *("reason", "line", "legs"),
        ),
        key_length=2,
    ),
    Copied(
        "heard_call",
        ("connector_id", "call_key", "kind", "region", "facts", "due_at", "call_id", "reason", "updated_at"),
        key_length=2,
    ),
    Copied("heard_name", ("connector_id", "name", "call_key", "has_told"), key_length=3),
    Copied(
        "event",
        ("position", "id", "kind", "subject", "sequence", "occurred_at", "created_at", "body", "is_test"),
        numbers=True,
    ),
    Copied(
        "delivery",
        (
            *("id", "event_id", "webhook_id", "due_at", "token", "attempt", "failures", "give_up_at", "created_at"),
            *("line", "sequence", "batch_id", "gathers"),
        ),
    ),
    Copied(
        "settled_delivery",
        (
            *("id", "event_id", "webhook_id", "status", "attempt", "give_up_at", "created_at", "settled_at", "reason"),
            "batch_id",
        ),
    ),
    Copied(
        "attempt",
        (
            *("delivery_id", "number", "started_at", "duration_us", "status", "error", "response_headers"),
            "response_body",
        ),
        key_length=2,
    ),
    Copied("answer", ("owner", "key", "fingerprint", "status", "body", "created_at"), key_length=2),
    Copied(
        "process",
        (
            *("id", "name", "parameters", "status", "cursor", "total", "done", "error", "due_at", "created_at"),
            *("completed_at", "token", "export_url", "expires_at", "notification_attempt", "notification_due_at"),
            "notification_outcome",
        ),
        numbers=True,
    ),
    Copied("export_part", ("process_id", "number", "body"), key_length=2),
    Copied(
        "staged_report",
        (
            *("batch_id", "number", "report_id", "payload", "start_at", "end_at", "source", "started_at"),
            *("answered_at", "ended_at", "is_silent", "row_count", "accepted_at"),
        ),
        key_length=2,
    ),
    Copied("notice", ("id", "webhook_id", "kind", "message", "created_at")),
)
