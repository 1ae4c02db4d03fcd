"""What the rounds showed: medians, ratios, and how they are written down."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

#: What each measurement showed, round by round: measurement -> figure -> one value a round.
Results = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    measurement: str
    name: str
    title: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """How many times the one is the other, with the medians of the same run."""

    title: str
    over: tuple[str, str]
    under: tuple[str, str]


FIGURES: Final = (
    Figure(
        measurement="end-to-end",
        name="deliveries_per_second",
        title="Hookline, end to end",
        unit="deliveries/s",
    ),
    Figure(
        measurement="end-to-end",
        name="cpu_us_per_delivery",
        title="Hookline, end to end: processor time",
        unit="µs/delivery",
    ),
    Figure(
        measurement="together",
        name="deliveries_per_second",
        title="Hookline, end to end, 100 calls a request",
        unit="deliveries/s",
    ),
    Figure(
        measurement="backlog",
        name="deliveries_per_second",
        title="Hookline, backlog drained",
        unit="deliveries/s",
    ),
    Figure(
        measurement="bare-client",
        name="posts_per_second",
        title="Bare client, no store",
        unit="POSTs/s",
    ),
    Figure(
        measurement="celery-end-to-end",
        name="deliveries_per_second",
        title="Celery + Redis + requests, end to end",
        unit="deliveries/s",
    ),
    Figure(
        measurement="celery-drain",
        name="deliveries_per_second",
        title="Celery + Redis + requests, queue drained",
        unit="deliveries/s",
    ),
    Figure(
        measurement="taskiq-end-to-end",
        name="deliveries_per_second",
        title="taskiq + Redis + aiohttp, end to end",
        unit="deliveries/s",
    ),
    Figure(
        measurement="taskiq-drain",
        name="deliveries_per_second",
        title="taskiq + Redis + aiohttp, queue drained",
        unit="deliveries/s",
    ),
    Figure(measurement="latency", name="p50_ms", title="Request to arrival, 50 calls/s, p50", unit="ms"),
    Figure(measurement="latency", name="p99_ms", title="Request to arrival, 50 calls/s, p99", unit="ms"),
    Figure(measurement="lateness", name="p50_ms", title="Lateness, 5,000 starts at once, p50", unit="ms"),
    Figure(measurement="lateness", name="p99_ms", title="Lateness, 5,000 starts at once, p99", unit="ms"),
    Figure(
        measurement="isolation",
        name="healthy_p99_ms",
        title="Ten webhooks, request to arrival, nine of them: p99",
        unit="ms",
    ),
    Figure(measurement="isolation", name="beside_hanging_p99_ms", title="... with the tenth hanging: p99", unit="ms"),
    *(
        Figure(measurement="long-requests", name=f"{beside}_{name}", title=f"{title}: {name[:3]}", unit="ms")
        for beside, title in (
            ("alone", "Request to arrival, one webhook"),
            ("batches", "... beside batches of 1,000 meetings"),
            ("large", "... beside meetings of 1 MB with 1,000 participants"),
        )
        for name in ("p50_ms", "p99_ms")
    ),
    Figure(
        measurement="large-bodies",
        name="reported_peak_mb",
        title="Memory, bodies of 1 MB, 40 webhooks hang: most",
        unit="MB",
    ),
    Figure(measurement="large-bodies", name="restarted_peak_mb", title="... after a restart: most", unit="MB"),
    Figure(measurement="fan-out", name="to_1", title="End to end, to 1 webhook", unit="deliveries/s"),
    Figure(measurement="fan-out", name="to_5", title="End to end, to 5 webhooks", unit="deliveries/s"),
    Figure(measurement="fan-out", name="to_20", title="End to end, to 20 webhooks", unit="deliveries/s"),
    Figure(
        measurement="claiming", name="small_claim_us", title="Claim, small backlog: processor time", unit="µs/delivery"
    ),
    Figure(
        measurement="claiming", name="large_claim_us", title="Claim, large backlog: processor time", unit="µs/delivery"
    ),
    Figure(
        measurement="claiming",
        name="small_settle_us",
        title="Settle, small backlog: processor time",
        unit="µs/delivery",
    ),
    Figure(
        measurement="claiming",
        name="large_settle_us",
        title="Settle, large backlog: processor time",
        unit="µs/delivery",
    ),
    *(
        Figure(measurement=measurement, name=f"{size}_{name}", title=f"{title}, {size} backlog{on}", unit=unit)
        for measurement, on, sizes in (
            ("claiming", "", ("small", "large")),
            ("postgres-claiming", " on PostgreSQL", ("small", "large", "huge")),
        )
        for name, title, unit in (
            ("claim_wall_us", "Claim, time until it was done", "µs/delivery"),
            ("settle_wall_us", "Settle, time until it was done", "µs/delivery"),
        )
        for size in sizes
    ),
    Figure(
        measurement="postgres-left-behind",
        name="dead_rows",
        title="PostgreSQL, dead rows left by an hour's load",
        unit="rows",
    ),
    Figure(
        measurement="postgres-left-behind",
        name="owed_mb",
        title="PostgreSQL, the table of what is owed",
        unit="MB",
    ),
    Figure(
        measurement="asterisk", name="events_per_second", title="Asterisk, events of one connection", unit="events/s"
    ),
    Figure(
        measurement="asterisk",
        name="plain_per_second",
        title="... made dictionaries, and nothing else",
        unit="events/s",
    ),
    Figure(measurement="asterisk", name="in_the_air_mb", title="Asterisk, memory of 1,000 calls in the air", unit="MB"),
    Figure(measurement="claiming", name="small_mb", title="Memory, small backlog", unit="MB"),
    Figure(measurement="claiming", name="large_mb", title="Memory, large backlog", unit="MB"),
    Figure(measurement="disk", name="file_bytes", title="Disk, a call delivered to one webhook", unit="bytes"),
    Figure(measurement="disk", name="event_bytes", title="... the event", unit="bytes"),
    Figure(measurement="disk", name="call_bytes", title="... the call", unit="bytes"),
    Figure(measurement="disk", name="settled_delivery_bytes", title="... the delivery", unit="bytes"),
    Figure(measurement="disk", name="attempt_bytes", title="... the attempt, with its answer", unit="bytes"),
    Figure(measurement="disk", name="rest_bytes", title="... everything else", unit="bytes"),
    Figure(measurement="disk", name="body_bytes", title="The body that was sent", unit="bytes"),
    Figure(measurement="end-to-end", name="idle_mb", title="Memory, idle", unit="MB"),
    Figure(measurement="end-to-end", name="loaded_mb", title="Memory, after the load", unit="MB"),
    Figure(
        measurement="postgres-end-to-end",
        name="deliveries_per_second",
        title="On PostgreSQL, end to end",
        unit="deliveries/s",
    ),
    Figure(
        measurement="postgres-end-to-end",
        name="cpu_us_per_delivery",
        title="On PostgreSQL, end to end: processor time of Hookline",
        unit="µs/delivery",
    ),
    Figure(measurement="postgres-latency", name="p50_ms", title="On PostgreSQL, request to arrival, p50", unit="ms"),
    Figure(measurement="postgres-latency", name="p99_ms", title="On PostgreSQL, request to arrival, p99", unit="ms"),
    *(
        Figure(measurement="postgres-nodes", name=f"on_{nodes}{name}", title=title.format(nodes), unit=unit)
        for nodes in (1, 2, 4)
        for name, title, unit in (
            ("", "On PostgreSQL, end to end on {} nodes", "deliveries/s"),
            ("_cpu_us", "... processor time of {} nodes", "µs/delivery"),
        )
    ),
    *(
        Figure(
            measurement="postgres-drain",
            name=f"by_{nodes}",
            title=f"On PostgreSQL, backlog drained by {nodes} nodes",
            unit="deliveries/s",
        )
        for nodes in (1, 2, 4)
    ),
)

_RATE: Final = "deliveries_per_second"
_END_TO_END: Final = ("end-to-end", _RATE)
_TOGETHER: Final = ("together", _RATE)
_BACKLOG: Final = ("backlog", _RATE)

RATIOS: Final = (
    Ratio(title="Hookline to Celery, end to end", over=_END_TO_END, under=("celery-end-to-end", _RATE)),
    Ratio(title="Hookline to taskiq, end to end", over=_END_TO_END, under=("taskiq-end-to-end", _RATE)),
    Ratio(title="The same, 100 calls a request: to Celery", over=_TOGETHER, under=("celery-end-to-end", _RATE)),
    Ratio(title="The same, 100 calls a request: to taskiq", over=_TOGETHER, under=("taskiq-end-to-end", _RATE)),
    Ratio(title="Hookline to Celery, drained", over=_BACKLOG, under=("celery-drain", _RATE)),
    Ratio(title="Hookline to taskiq, drained", over=_BACKLOG, under=("taskiq-drain", _RATE)),
    Ratio(
        title="p99 of the healthy nine, the tenth hanging to not hanging",
        over=("isolation", "beside_hanging_p99_ms"),
        under=("isolation", "healthy_p99_ms"),
    ),
    Ratio(title="Fan-out of 5 to fan-out of 1", over=("fan-out", "to_5"), under=("fan-out", "to_1")),
    Ratio(title="Fan-out of 20 to fan-out of 1", over=("fan-out", "to_20"), under=("fan-out", "to_1")),
    Ratio(
        title="Claim, large backlog to small",
        over=("claiming", "large_claim_us"),
        under=("claiming", "small_claim_us"),
    ),
    Ratio(
        title="Settle, large backlog to small",
        over=("claiming", "large_settle_us"),
        under=("claiming", "small_settle_us"),
    ),
    *(
        Ratio(
            title=f"{title} on PostgreSQL, {size} backlog to small",
            over=("postgres-claiming", f"{size}_{name}_wall_us"),
            under=("postgres-claiming", f"small_{name}_wall_us"),
        )
        for size in ("large", "huge")
        for name, title in (("claim", "Claim"), ("settle", "Settle"))
    ),
    Ratio(title="Memory, large backlog to small", over=("claiming", "large_mb"), under=("claiming", "small_mb")),
    Ratio(
        title="Events of an Asterisk understood to made dictionaries",
        over=("asterisk", "events_per_second"),
        under=("asterisk", "plain_per_second"),
    ),
    Ratio(title="Disk to body", over=("disk", "file_bytes"), under=("disk", "body_bytes")),
    Ratio(title="End to end, PostgreSQL to SQLite", over=("postgres-end-to-end", _RATE), under=_END_TO_END),
    Ratio(title="End to end, 2 nodes to 1", over=("postgres-nodes", "on_2"), under=("postgres-nodes", "on_1")),
    Ratio(title="End to end, 4 nodes to 1", over=("postgres-nodes", "on_4"), under=("postgres-nodes", "on_1")),
    Ratio(title="Drained, 2 nodes to 1", over=("postgres-drain", "by_2"), under=("postgres-drain", "by_1")),
    Ratio(title="Drained, 4 nodes to 1", over=("postgres-drain", "by_4"), under=("postgres-drain", "by_1")),
    Ratio(title="Backlog drained to bare client", over=_BACKLOG, under=("bare-client", "posts_per_second")),
)


def rows(results: Results) -> list[tuple[str, str, str]]:
    """What was measured, its median, its lowest and highest round; then the ratios of what was measured together."""
    lines = []
    for figure in FIGURES:
        values = results.get(figure.measurement, {}).get(figure.name)
        if values:
            spread = f"{_written(min(values))} to {_written(max(values))}" if len(values) > 1 else ""
            lines.append((figure.title, f"{_written(statistics.median(values))} {figure.unit}", spread))
    return lines + [(title, f"{value:.2f} times", "") for title, value in ratios(results)]


def ratios(results: Results) -> list[tuple[str, float]]:
    """Each ratio whose two sides were measured."""
    medians = {
        (measurement, name): statistics.median(values)
        for measurement, figures in results.items()
        for name, values in figures.items()
    }
    both = [ratio for ratio in RATIOS if ratio.over in medians and ratio.under in medians]
    return [(ratio.title, medians[ratio.over] / medians[ratio.under]) for ratio in both]


def show(results: Results, machine: Mapping[str, str], rounds: int) -> None:
    """The table, for a person at a terminal."""
    table = Table(caption="\n".join(f"{name}: {value}" for name, value in machine.items()), caption_justify="left")
    table.add_column("")
    table.add_column(f"median of {rounds}" if rounds > 1 else "one round", justify="right")
    table.add_column("lowest to highest", justify="right")
    for row in rows(results):
        table.add_row(*row)
    Console().print(table)


def markdown(results: Results, machine: Mapping[str, str], rounds: int) -> str:
    """The same table, for a page."""
    lines = [f"| | median of {rounds} | lowest to highest |", "|---|---:|---:|"]
    lines += [f"| {title} | {median} | {spread} |" for title, median, spread in rows(results)]
    return "\n".join([*lines, "", *(f"- {name}: {value}" for name, value in machine.items())])


def keep(results: Results, machine: Mapping[str, str], path: Path) -> None:
    """Write down every round, for programs."""
    kept = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "rounds": results,
        "ratios": dict(ratios(results)),
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=2) + "\n")


def _written(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
