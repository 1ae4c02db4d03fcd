"""What must not grow, each beside its baseline in the same round: what healthy webhooks notice of one that hangs, what
a claim costs in front of a large backlog, what a delivery costs among many of one event, and what it leaves on disk.

Each function is one round, and answers its figures by name, as in `scenarios.py`.
"""

import json
import time
from pathlib import Path
from typing import Final

from bench import processes, size
from bench.bodies import EVENT_NAME
from bench.hookline_server import Server
from bench.places import Place, on_sqlite, own_folder, sqlite_in
from bench.processes import Receiver
from bench.scenarios import percentiles, rate, report_calls, seed

_CALLS_PER_SECOND: Final = 50
_WEBHOOKS: Final = 10
_SMALL_BACKLOG: Final = 10_000
_FAN_OUTS: Final = (1, 5, 20)
_TABLES: Final = ("event", "call", "settled_delivery", "attempt")
_PARTS: Final = ("file", "body", *_TABLES)
_ON_BACKLOG_SECONDS: Final = 5.0


def isolation(calls: int) -> dict[str, float]:
    """From request to arrival at the healthy nine of ten webhooks: with the tenth healthy too, and with it hanging."""
    healthy, beside = (_healthy_p99(calls, hanging=hanging) for hanging in (False, True))
    return {"healthy_p99_ms": healthy, "beside_hanging_p99_ms": beside}


def _healthy_p99(calls: int, *, hanging: bool) -> float:
    with (
        Receiver.started(key_header="hookline-subject") as nine,
        on_sqlite() as database,
        Server.started(database) as server,
        Receiver.started(hangs=hanging) as tenth,  # ends before the server, which then need not wait for it
    ):
        server.add_webhooks(nine, count=_WEBHOOKS - 1, event=EVENT_NAME)
        server.add_webhooks(tenth, count=1, event=EVENT_NAME)
        load = report_calls(server, calls, "--rate", str(_CALLS_PER_SECOND))
        nine.wait_for(calls * (_WEBHOOKS - 1))
        arrived = zip(nine.keys(), nine.arrivals_ns(), strict=True)
        waits_ms = [(at_ns - load["sent_ns"][subject]) / 1e6 for subject, at_ns in arrived]
    return percentiles(waits_ms)["p99_ms"]


def claiming(deliveries: int, place: Place = on_sqlite) -> dict[str, float]:
    """What claiming and settling cost in front of a backlog, and the memory of a server on it; then of 10,000 only."""
    small, large = backlog(_SMALL_BACKLOG, place), backlog(deliveries, place)
    return {
        **{f"small_{name}": value for name, value in small.items()},
        **{f"large_{name}": value for name, value in large.items()},
    }


def backlog(deliveries: int, place: Place) -> dict[str, float]:
    """The same in front of one backlog."""
    with place() as database:
        with Server.started(database) as server, Receiver.started(hangs=True) as receiver:
            server.add_webhooks(receiver, count=1, event=EVENT_NAME)
        seed(database, deliveries)
        output = processes.run_to_end(processes.python("-m", "bench.claims"), {"HOOKLINE_DATABASE": database})
        figures: dict[str, float] = json.loads(output)
        # A receiver that is not there any more: the backlog stays, and the server holds as much of it as it ever does.
        with Server.started(database) as server:
            time.sleep(_ON_BACKLOG_SECONDS)
            figures["mb"] = processes.resident_mb(server.session)
    return figures


def fan_out(deliveries: int) -> dict[str, float]:
    """Deliveries a second, end to end, of calls that go to 1, 5 and 20 webhooks; as many deliveries each time."""
    return {f"to_{webhooks}": rate(deliveries // webhooks, webhooks) for webhooks in _FAN_OUTS}


def disk(calls: int) -> dict[str, float]:
    """What a call that was delivered to one webhook leaves on disk, by table; beside it, the bytes that were sent."""
    with Receiver.started() as receiver, own_folder() as name:
        with Server.started(sqlite_in(Path(name))) as server:
            server.add_webhooks(receiver, count=1, event=EVENT_NAME)
            before = size.of_database(Path(name) / "bench.db")
            report_calls(server, calls)
            receiver.wait_for(calls)
            server.wait_until_settled()
        after = size.of_database(Path(name) / "bench.db")
    grown = {f"{part}_bytes": (after[part] - before[part]) / calls for part in _PARTS}
    rest = grown["file_bytes"] - sum(grown[f"{table}_bytes"] for table in _TABLES)
    return {**grown, "rest_bytes": rest}
