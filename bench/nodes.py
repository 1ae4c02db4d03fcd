"""Hookline on PostgreSQL, with one process and with several that share the database and this machine's cores."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import psycopg

from bench import processes, scaling
from bench.bodies import EVENT_NAME
from bench.hookline_server import Server
from bench.places import on_postgres
from bench.processes import Receiver
from bench.queues import middle_rate
from bench.scenarios import accept_to_arrival, end_to_end, report_calls, require_each_once, seed

LEFT: Final = """
    SELECT n_dead_tup, pg_total_relation_size('delivery') FROM pg_stat_user_tables WHERE relname = 'delivery'
"""
_NODES: Final = (1, 2, 4)
_FAN_OUT: Final = 2
_CONNECTIONS: Final = 64


def one_node(calls: int) -> dict[str, float]:
    """As `scenarios.end_to_end`."""
    return end_to_end(calls, on_postgres)


def request_to_arrival(calls: int) -> dict[str, float]:
    """As `scenarios.accept_to_arrival`."""
    return accept_to_arrival(calls, on_postgres)


def several_nodes(calls: int) -> dict[str, float]:
    """Calls accepted by 1, 2 and 4 nodes at the same time until the last outcome is recorded, and the processor time
    of all nodes for a delivery.
    """
    figures = {}
    for count in _NODES:
        with Receiver.started() as receiver, on_postgres() as database, _nodes(database, count) as nodes:
            nodes[0].add_webhooks(receiver, count=_FAN_OUT, event=EVENT_NAME)
            cpu_before = _cpu_seconds(nodes)
            loads = _report_to_all(nodes, calls)
            receiver.wait_for(calls * _FAN_OUT)
            nodes[0].wait_until_settled()
            seconds = (time.time_ns() - min(load["first_sent_ns"] for load in loads)) / 1e9
            require_each_once(receiver, calls * _FAN_OUT)
            figures[f"on_{count}"] = calls * _FAN_OUT / seconds
            figures[f"on_{count}_cpu_us"] = (_cpu_seconds(nodes) - cpu_before) / (calls * _FAN_OUT) * 1e6
    return figures


def several_drain(deliveries: int) -> dict[str, float]:
    """A backlog drained by 1, 2 and 4 nodes: the rate of arrivals from 15 % to 85 %, since nodes start one by one."""
    figures = {}
    for count in _NODES:
        with Receiver.started() as receiver, on_postgres() as database:
            with Server.started(database) as server:
                server.add_webhooks(receiver, count=_FAN_OUT, event=EVENT_NAME)
            seed(database, deliveries // _FAN_OUT)
            with _nodes(database, count) as nodes:
                receiver.wait_for(deliveries)
                nodes[0].wait_until_settled()
                require_each_once(receiver, deliveries)
                figures[f"by_{count}"] = middle_rate(receiver.arrivals_ns())
    return figures


def claiming(deliveries: int) -> dict[str, float]:
    """As `scaling.claiming` in front of a fifth of these, and in front of all."""
    huge = scaling.backlog(deliveries, on_postgres)
    fifth = scaling.claiming(deliveries // 5, on_postgres)
    return {**fifth, **{f"huge_{name}": value for name, value in huge.items()}}


def left_behind(calls: int) -> dict[str, float]:
    """What so many calls leave of the table of what is owed: rows that are dead, and what it has on disk. 180,000 are
    an hour of 50 calls a second; they come as fast as they are taken, so autovacuum has less time for them than it had.
    """
    with Receiver.started() as receiver, on_postgres() as database, Server.started(database) as server:
        server.add_webhooks(receiver, count=_FAN_OUT, event=EVENT_NAME)
        report_calls(server, calls, connections=_CONNECTIONS)
        receiver.wait_for(calls * _FAN_OUT)
        server.wait_until_settled()
        with psycopg.connect(database) as connection:
            [(dead, size)] = connection.execute(LEFT).fetchall()
    return {"dead_rows": dead, "owed_mb": size / 1e6}


@contextmanager
def _nodes(database: str, count: int) -> Iterator[Sequence[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Server.started(database)) for _ in range(count)]


def _report_to_all(nodes: Sequence[Server], calls: int) -> list[Any]:
    """Report calls to all nodes at the same time, as many to each."""
    connections = _CONNECTIONS // len(nodes)
    with ThreadPoolExecutor(len(nodes)) as reporters:
        each = calls // len(nodes)
        return list(reporters.map(lambda node: report_calls(node, each, connections=connections), nodes))


def _cpu_seconds(nodes: Sequence[Server]) -> float:
    return sum(processes.cpu_seconds(node.session) for node in nodes)
