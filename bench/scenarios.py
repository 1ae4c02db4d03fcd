"""What is measured of Hookline itself: each function is one round, and answers its figures by name."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench import processes
from bench.bodies import EVENT_NAME, meeting
from bench.hookline_server import KEY, Server
from bench.places import Place, on_sqlite
from bench.processes import MeasurementFailed, Receiver

_FAN_OUT: Final = 2
_CONNECTIONS: Final = 64
_TOGETHER: Final = 100
_BATCH: Final = 1_000
_IN_THE_AIR: Final = 1_000
_CALLS_PER_SECOND: Final = 50
_IDLE_SECONDS: Final = 2.0
_WARM_UP_CALLS: Final = 500
#: Booking them takes this long at most; the bench waits for the rest.
_BOOKING_SECONDS: Final = 15


def end_to_end(calls: int, place: Place = on_sqlite) -> dict[str, float]:
    """Calls accepted by the API, one a request, until the last outcome is recorded; the server's memory beside it."""
    deliveries = calls * _FAN_OUT
    with Receiver.started() as receiver, place() as database, Server.started(database) as server:
        time.sleep(_IDLE_SECONDS)
        idle_mb = processes.resident_mb(server.session)
        server.add_webhooks(receiver, count=_FAN_OUT, event=EVENT_NAME)
        _warm_up(server, receiver, _WARM_UP_CALLS, _FAN_OUT)
        cpu_before = processes.cpu_seconds(server.session)
        load = report_calls(server, calls)
        receiver.wait_for(deliveries)
        server.wait_until_settled()
        seconds = (time.time_ns() - load["first_sent_ns"]) / 1e9
        cpu_seconds = processes.cpu_seconds(server.session) - cpu_before
        require_each_once(receiver, deliveries)
        return {
            "deliveries_per_second": deliveries / seconds,
            "accepted_per_second": calls / (load["last_answered_ns"] - load["first_sent_ns"]) * 1e9,
            "cpu_us_per_delivery": cpu_seconds / deliveries * 1e6,
            "idle_mb": idle_mb,
            "loaded_mb": processes.resident_mb(server.session),
        }


def end_to_end_together(calls: int) -> dict[str, float]:
    """As `end_to_end`, with 100 calls in each request."""
    together = ("--together", str(_TOGETHER))
    per_second = rate(calls, _FAN_OUT, *together, path="/v3/calls/batch", connections=4, warm_up=_WARM_UP_CALLS)
    return {"deliveries_per_second": per_second}


def rate(
    calls: int,
    webhooks: int,
    *how: str,
    path: str = "/v3/calls",
    connections: int = _CONNECTIONS,
    warm_up: int = 0,
) -> float:
    """Deliveries a second on a server of their own, from the first request to the last outcome recorded.

    `how` are further arguments of `bench.load`; `warm_up` is how many calls are reported, one a request, before.
    """
    deliveries = calls * webhooks
    with Receiver.started() as receiver, on_sqlite() as database, Server.started(database) as server:
        server.add_webhooks(receiver, count=webhooks, event=EVENT_NAME)
        if warm_up:
            _warm_up(server, receiver, warm_up, webhooks)
        load = report_calls(server, calls, *how, path=path, connections=connections)
        receiver.wait_for(deliveries)
        server.wait_until_settled()
        ended_ns, began_ns = time.time_ns(), int(load["first_sent_ns"])
        require_each_once(receiver, deliveries)
    return deliveries / (ended_ns - began_ns) * 1e9


def backlog(deliveries: int, place: Place = on_sqlite) -> dict[str, float]:
    """Deliveries that were stored while nothing delivered, from the first arrival to the last outcome recorded."""
    with Receiver.started() as receiver, place() as database:
        with Server.started(database) as server:
            server.add_webhooks(receiver, count=_FAN_OUT, event=EVENT_NAME)
        seed(database, deliveries // _FAN_OUT)
        with Server.started(database) as server:
            receiver.wait_for(deliveries)
            server.wait_until_settled()
            seconds = (time.time_ns() - receiver.arrivals_ns()[0]) / 1e9
            require_each_once(receiver, deliveries)
            cpu_seconds = processes.cpu_seconds(server.session)
    return {"deliveries_per_second": deliveries / seconds, "cpu_us_per_delivery": cpu_seconds / deliveries * 1e6}


def bare_client(posts: int) -> dict[str, float]:
    """Hookline's own sender in a loop, without a store."""
    with Receiver.started() as receiver:
        arguments = ["--url", receiver.url + "/hook", "--count", str(posts)]
        output = processes.run_to_end(processes.python("-m", "bench.bare_client", *arguments))
    figures: dict[str, float] = json.loads(output)
    if figures.pop("failed"):
        raise MeasurementFailed("Some POSTs of the bare client failed.")
    return figures


def accept_to_arrival(calls: int, place: Place = on_sqlite) -> dict[str, float]:
    """From a call's request to its webhooks' arrivals, at 50 calls a second at random instants."""
    with (
        Receiver.started(key_header="hookline-subject") as receiver,
        place() as database,
        Server.started(database) as server,
    ):
        server.add_webhooks(receiver, count=_FAN_OUT, event=EVENT_NAME)
        load = report_calls(server, calls, "--rate", str(_CALLS_PER_SECOND))
        receiver.wait_for(calls * _FAN_OUT)
        arrived = zip(receiver.keys(), receiver.arrivals_ns(), strict=True)
        waits_ms = [(at_ns - load["sent_ns"][subject]) / 1e6 for subject, at_ns in arrived]
    return percentiles(waits_ms)


def lateness(meetings: int) -> dict[str, float]:
    """How late `meetingStarted` arrives for many meetings that were booked beforehand and start in the same second."""
    with Receiver.started() as receiver, on_sqlite() as database, Server.started(database) as server:
        server.add_webhooks(receiver, count=1, event="meetingStarted")
        start_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=_BOOKING_SECONDS)
        for first in range(0, meetings, _BATCH):
            batch = [meeting(number, start_at) for number in range(first, min(first + _BATCH, meetings))]
            server.create("/v3/meetings/batch", {"meetings": batch})
        if datetime.now(UTC) >= start_at:
            raise MeasurementFailed("Booking the meetings took so long that they had begun by then.")
        receiver.wait_for(meetings)
        start_ns = int(start_at.timestamp()) * 1_000_000_000
        late_ms = [(at_ns - start_ns) / 1e6 for at_ns in receiver.arrivals_ns()]
        server.wait_until_settled()
        require_each_once(receiver, meetings)
    if min(late_ms) < 0:
        raise MeasurementFailed("A meeting was announced before its start.")
    return percentiles(late_ms)


def _warm_up(server: Server, receiver: Receiver, calls: int, webhooks: int) -> None:
    """Have calls delivered that nobody measures."""
    report_calls(server, calls)
    receiver.wait_for(calls * webhooks)
    server.wait_until_settled()
    receiver.forget()


def seed(database: str, calls: int) -> None:
    """Have calls kept and owed in this database, of which nothing is sent."""
    seeding = processes.python("-m", "bench.seed", str(calls))
    processes.run_to_end(seeding, {"HOOKLINE_DATABASE": database}, limit_seconds=900)


def percentiles(values_ms: Sequence[float]) -> dict[str, float]:
    """The middle one, and the one that a hundredth of them exceed."""
    ordered = sorted(values_ms)
    return {"p50_ms": ordered[len(ordered) // 2], "p99_ms": ordered[int(len(ordered) * 0.99)]}


def report_calls(
    server: Server, calls: int, *how: str, path: str = "/v3/calls", connections: int = _CONNECTIONS
) -> Any:
    """Report so many calls, and tell when; `how` are further arguments of `bench.load`."""
    target = ["--url", f"http://127.0.0.1:{server.port}{path}", "--key", KEY]
    amount = ["--count", str(calls), "--connections", str(connections)]
    return json.loads(processes.run_to_end(processes.python("-m", "bench.load", *target, *amount, *how)))


def require_each_once(receiver: Receiver, expected: int) -> None:
    """
    Raises:
        MeasurementFailed: fewer or more arrived.
    """
    arrived = receiver.count()
    if arrived != expected:
        raise MeasurementFailed(f"{expected:,} deliveries were owed and {arrived:,} arrived.")


def asterisk(calls: int) -> dict[str, float]:
    """Events that one connection to an Asterisk takes in a second, and what 1,000 calls in the air weigh."""
    output = processes.run_to_end(processes.python("-m", "bench.ami", str(calls), str(_IN_THE_AIR)))
    figures: dict[str, float] = json.loads(output)
    return figures
