"""What large bodies cost: the memory of a server whose receivers hang, and how late calls are beside long requests.

Each function is one round, and answers its figures by name, as in `scenarios.py`.
"""

import http.client
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench import processes
from bench.bodies import EVENT_NAME, encoded, meeting
from bench.hookline_server import KEY, Server
from bench.places import on_sqlite
from bench.processes import MeasurementFailed, Receiver
from bench.scenarios import percentiles, report_calls

_WEBHOOKS: Final = 40
_NOTES_BYTES: Final = 1_000_000
#: Long enough that a server which has begun anew holds as much as it ever does.
_AFTER_RESTART_SECONDS: Final = 15.0
_CALLS_PER_SECOND: Final = 50
_TOGETHER: Final = 1_000
#: Between two long requests, so that they come one after the other and do not queue.
_PAUSE_SECONDS: Final = 0.2


def memory(meetings: int) -> dict[str, float]:
    """The largest memory of a server with 40 webhooks that hang: while meetings with notes of 1 MB are reported, and
    after it was started again.
    """
    start_at = datetime.now(UTC) + timedelta(days=1)
    with Receiver.started(hangs=True) as receiver, on_sqlite() as database:
        with Server.started(database) as server:
            server.add_webhooks(receiver, count=_WEBHOOKS, event="meetingBooked")
            for number in range(meetings):
                server.create("/v3/meetings", {**meeting(number, start_at), "meeting_notes": "x" * _NOTES_BYTES})
            reported_mb = processes.peak_mb(server.session)
        with Server.started(database) as server:
            time.sleep(_AFTER_RESTART_SECONDS)
            restarted_mb = processes.peak_mb(server.session)
    return {"reported_peak_mb": reported_mb, "restarted_peak_mb": restarted_mb}


def beside_long_requests(calls: int) -> dict[str, float]:
    """From request to arrival of calls at random instants, 50 a second: alone, beside batches of 1,000 meetings, and
    beside meetings of 1 MB with 1,000 participants. Nobody is sent these meetings.
    """
    start_at = datetime.now(UTC) + timedelta(days=1)
    batch = {"meetings": [meeting(number, start_at) for number in range(_TOGETHER)]}
    name = "x" * (_NOTES_BYTES // _TOGETHER - 100)
    people = [{"EMAIL": f"guest{number}@example.com", "FIRSTNAME": name} for number in range(_TOGETHER)]
    large = {**meeting(0, start_at), "event_participants": people}
    waits = {
        "alone": _waits_ms(calls, "", {}),
        "batches": _waits_ms(calls, "/v3/meetings/batch", batch),
        "large": _waits_ms(calls, "/v3/meetings", large),
    }
    return {
        f"{beside}_{name}": value for beside, waited in waits.items() for name, value in percentiles(waited).items()
    }


def _waits_ms(calls: int, path: str, body: dict[str, Any]) -> Sequence[float]:
    with (
        Receiver.started(key_header="hookline-subject") as receiver,
        on_sqlite() as database,
        Server.started(database) as server,
        _asked_again_and_again(server, path, encoded(body)),
    ):
        server.add_webhooks(receiver, count=1, event=EVENT_NAME)
        load = report_calls(server, calls, "--rate", str(_CALLS_PER_SECOND))
        receiver.wait_for(calls)
        arrived = zip(receiver.keys(), receiver.arrivals_ns(), strict=True)
        return [(at_ns - load["sent_ns"][subject]) / 1e6 for subject, at_ns in arrived]


@contextmanager
def _asked_again_and_again(server: Server, path: str, body: bytes) -> Iterator[None]:
    """One request after the other, for as long as the block lasts; none without a path.

    Raises:
        MeasurementFailed: one was refused.
    """
    ended, refused = threading.Event(), list[str]()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for _ in itertools.takewhile(lambda _: not ended.wait(_PAUSE_SECONDS), itertools.count()):
            connection.request("POST", path, body, {"api-key": KEY, "content-type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != http.client.CREATED:
                refused.append(said[:200].decode())
                break
        connection.close()

    thread = threading.Thread(target=ask)
    if path:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if path:
            thread.join()
    if refused:
        raise MeasurementFailed(f"A request to {path} was refused: {refused[0]}")
