"""The sender against receivers that behave, and against those that do not."""

import asyncio
import gzip
import socket

import pytest

from hookline.adapters.http_answer import CLOSED_BEFORE, CLOSED_IN_BODY, CLOSED_IN_HEAD
from hookline.adapters.http_sender import STOPPED, request_pieces
from hookline.ports.sender import MAX_ANSWER_BYTES, Sender
from tests.adapters.posting import OK, Run, both_loops, has_read, post, sending
from tests.fakes import MONDAY, ManualClock, RawReceiver, Visit, answering, turn, until

pytestmark = both_loops


# What goes out


def test_a_post_arrives_byte_for_byte(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as receiver, sending() as sender:
            headers = (
                ("Content-Type", "application/json"),
                ("webhook-id", "evt_1"),
                ("X-Tab", "a\tb"),
                ("X-Empty", ""),
            )
            target = "/a%2Fb/%zz?x=1&y=%20&y='\"<>|\\^`{}"
            answer = await sender.send(post(receiver.port, target=target, headers=headers, body=b'{"a":1}\r\n\0'))
            assert answer.error == ""
            assert receiver.requests == [
                f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{receiver.port}\r\nContent-Length: 10\r\n"
                "Content-Type: application/json\r\nwebhook-id: evt_1\r\nX-Tab: a\tb\r\nX-Empty: \r\n\r\n".encode()
                + b'{"a":1}\r\n\0'
            ]

    run(scenario())


@pytest.mark.parametrize(
    ("scheme", "host", "port", "header"),
    [
        ("http", "a.example", 80, "a.example"),
        ("https", "a.example", 443, "a.example"),
        ("http", "a.example", 443, "a.example:443"),
        ("https", "a.example", 8443, "a.example:8443"),
        ("http", "::1", 80, "[::1]"),
        ("https", "::1", 8443, "[::1]:8443"),
    ],
)
def test_the_host_header_names_the_port_only_where_it_is_not_the_usual_one(
    run: Run, scheme: str, host: str, port: int, header: str
) -> None:
    [request] = request_pieces(post(port, scheme=scheme, host=host))  # type: ignore[arg-type]  # parametrize knows no Literal
    assert f"\r\nHost: {header}\r\n".encode() in request


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X", "a\r\nY: b"),
        ("X", "a\nY: b"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X", "a\x7fb"),
        ("X", "a\r\n\r\nGET / HTTP/1.1"),
        ("X\r\nY", "b"),
        ("X: y", "b"),
        ("X ", "b"),
        ("", "b"),
        ("Ä", "b"),
        ("X", "€"),
        ("Host", "b.example"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Expect", "100-continue"),
    ],
)
def test_a_header_cannot_smuggle_anything_in(run: Run, name: str, value: str) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as receiver, sending() as sender:
            answer = await sender.send(post(receiver.port, headers=((name, value),)))
            assert answer.status is None
            assert answer.error.endswith(".")
            assert receiver.visits == 0

    run(scenario())


@pytest.mark.parametrize("target", ["/a b", "/\r\nX: y", "/\n", "/\0", "/€", "", "a", "http://b.example/"])
def test_a_target_cannot_leave_its_line(run: Run, target: str) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as receiver, sending() as sender:
            answer = await sender.send(post(receiver.port, target=target))
            assert answer.status is None
            assert answer.error.startswith("The request's ")
            assert receiver.visits == 0

    run(scenario())


def test_a_host_cannot_leave_its_line(run: Run) -> None:
    async def scenario() -> None:
        async with sending() as sender:
            answer = await sender.send(post(80, host="a.example\r\nX: y"))
            assert "line end" in answer.error

    run(scenario())


# What comes back


def test_an_answer_is_told_with_its_time(run: Run) -> None:
    clock = ManualClock()

    async def slow(visit: Visit) -> None:
        await visit.request()
        clock.advance(seconds=1.5)
        await visit.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy")

    async def scenario() -> None:
        async with RawReceiver.running(slow) as receiver, sending(clock) as sender:
            answer = await sender.send(post(receiver.port))
            assert (answer.status, answer.error, answer.body) == (503, "", b"busy")
            assert ("Retry-After", "120") in answer.headers
            assert answer.started_at == MONDAY
            assert answer.duration_ms == pytest.approx(1500)

    run(scenario())


def test_it_is_what_the_port_asks_for(run: Run) -> None:
    async def scenario() -> None:
        async with sending() as sender:
            as_port: Sender = sender
            assert (await as_port.send(post(1, target="wrong"))).status is None

    run(scenario())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(run: Run, status: int) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as inside:
            location = f"Location: http://127.0.0.1:{inside.port}/\r\n".encode()
            redirect = b"HTTP/1.1 %d Go\r\nContent-Length: 0\r\n%b\r\n" % (status, location)
            async with RawReceiver.running(answering(redirect)) as receiver, sending() as sender:
                assert (await sender.send(post(receiver.port))).status == status
                assert inside.visits == 0

    run(scenario())


def test_a_proxy_in_the_environment_is_not_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")

    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as receiver, sending() as sender:
            assert (await sender.send(post(receiver.port))).status == 200

    run(scenario())


def test_a_body_without_a_length_lasts_until_the_receiver_closes(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(b"HTTP/1.1 200 OK\r\n\r\nall of it")) as receiver, sending() as sender:
            answer = await sender.send(post(receiver.port))
            assert (answer.status, answer.error, answer.body) == (200, "", b"all of it")

    run(scenario())


def test_of_an_endless_body_the_beginning_is_kept_and_the_connection_closed(run: Run) -> None:
    async def endless(visit: Visit) -> None:
        await visit.request()
        await visit.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await visit.write(b"x" * 4096)

    async def scenario() -> None:
        async with RawReceiver.running(endless) as receiver, sending() as sender:
            answer = await sender.send(post(receiver.port))
            assert (answer.status, answer.error, answer.body) == (200, "", b"x" * MAX_ANSWER_BYTES)
            await until(lambda: receiver.departures == 1)

    run(scenario())


@pytest.mark.parametrize("status", [200, 302, 404, 410, 429, 503])
def test_a_failure_with_a_long_body_is_known_by_its_status_headers_and_beginning(run: Run, status: int) -> None:
    async def scenario() -> None:
        long = b"x" * (MAX_ANSWER_BYTES - 1) + b"yz" + b"never kept" * 100_000
        head = f"HTTP/1.1 {status} Long\r\nRetry-After: 77\r\nContent-Length: {len(long)}\r\n\r\n".encode()
        async with RawReceiver.running(answering(head + long)) as receiver, sending() as sender:
            answer = await sender.send(post(receiver.port))
            assert (answer.status, answer.error) == (status, "")
            assert answer.body == b"x" * (MAX_ANSWER_BYTES - 1) + b"y"
            assert ("Retry-After", "77") in answer.headers

    run(scenario())


def test_an_answer_may_come_before_the_request_is_read(run: Run) -> None:
    async def hasty(visit: Visit) -> None:
        await visit.write(b"HTTP/1.1 413 Too large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await visit.gone()

    async def scenario() -> None:
        async with RawReceiver.running(hasty) as receiver, sending() as sender:
            answer = await sender.send(post(receiver.port, body=b"x" * 20_000_000))
            assert (answer.status, answer.error) == (413, "")

    run(scenario())


def test_a_long_body_arrives_whole(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as receiver, sending() as sender:
            body = bytes(range(256)) * 20_000
            assert (await sender.send(post(receiver.port, body=body))).status == 200
            assert receiver.requests[0].endswith(b"\r\n\r\n" + body)

    run(scenario())


# What goes wrong


@pytest.mark.parametrize(
    ("head", "sent", "body"),
    [
        (b"X: a\r\n b\r\nContent-Length: 2\r\n", b"ok", b"ok"),
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n", b"ok"),
        (b"Content-Encoding: gzip\r\nContent-Length: 22\r\n", gzip.compress(b"ok", mtime=0), b"ok"),
        (b"Content-Encoding: gzip\r\nContent-Length: 2\r\n", b"ok", b"ok"),
    ],
    ids=["folded", "length beside chunks", "gzip", "gzip that is none"],
)
def test_an_answer_of_an_odd_server_is_one_and_can_be_read(run: Run, head: bytes, sent: bytes, body: bytes) -> None:
    async def scenario() -> None:
        answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + sent
        async with RawReceiver.running(answering(answer)) as receiver, sending() as sender:
            told = await sender.send(post(receiver.port))
            assert (told.status, told.body, told.error) == (200, body, "")

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "status", "sentence"),
    [
        (b"", None, CLOSED_BEFORE),
        (b"HTTP/1.1 200 O", None, CLOSED_IN_HEAD),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", 200, CLOSED_IN_BODY),
        (b"220 mail\r\n", None, "What came back is not HTTP/1.1 (it begins with b'220 mail\\r\\n')."),
    ],
)
def test_a_broken_answer_is_a_sentence(run: Run, answer: bytes, status: int | None, sentence: str) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(answer)) as receiver, sending() as sender:
            told = await sender.send(post(receiver.port))
            assert (told.status, told.error) == (status, sentence)
            assert receiver.visits == 1

    run(scenario())


def test_a_connection_that_is_reset_is_a_sentence(run: Run) -> None:
    async def crashing(visit: Visit) -> None:
        await visit.request()
        visit.reset()

    async def scenario() -> None:
        async with RawReceiver.running(crashing) as receiver, sending() as sender:
            told = await sender.send(post(receiver.port))
            assert (told.status, told.error) == (None, CLOSED_BEFORE)

    run(scenario())


def test_a_closed_port_is_a_sentence(run: Run) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        async with sending() as sender:
            answer = await sender.send(post(port))
            assert answer.error == f"No connection to 127.0.0.1 port {port}: connection refused."
            answer = await sender.send(post(port, host="a.example"))
            assert answer.error == f"No connection to a.example (127.0.0.1) port {port}: connection refused."

    run(scenario())


def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as receiver, sending(allowed=()) as sender:
            answer = await sender.send(post(receiver.port, host="a.example"))
            assert answer.error == (
                "a.example leads to 127.0.0.1 (loopback), which HOOKLINE_ALLOW_NETWORKS does not allow."
            )
            assert receiver.visits == 0

    run(scenario())


# Time


@pytest.mark.parametrize(
    ("beginning", "status", "sentence"),
    [
        (b"", None, "No answer within 15 s."),
        (b"HTTP/1.1 200 OK\r\nX-", None, "No end of the answer's head within 15 s."),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", 200, "No end of the answer within 15 s."),
        (b"HTTP/1.1 100 Continue\r\n\r\n", None, "No end of the answer's head within 15 s."),
    ],
)
def test_an_answer_that_is_not_there_in_time_is_given_up(
    run: Run, beginning: bytes, status: int | None, sentence: str
) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        written = asyncio.Event()

        async def stalling(visit: Visit) -> None:
            await visit.request()
            await visit.write(beginning)
            written.set()
            await visit.gone()

        async with RawReceiver.running(stalling) as receiver, sending(clock) as sender:
            sent = asyncio.ensure_future(sender.send(post(receiver.port)))
            await written.wait()
            await until(lambda: has_read(sender) == bool(beginning))
            clock.advance(seconds=14.9)
            await until(lambda: clock.alarms_set == 1)
            assert not sent.done()
            clock.advance(seconds=0.1)
            answer = await sent
            assert (answer.status, answer.error) == (status, sentence)
            assert answer.duration_ms == pytest.approx(15_000)
            await until(lambda: receiver.departures == 1)

    run(scenario())


def test_a_body_that_drips_does_not_stretch_the_time(run: Run) -> None:
    clock = ManualClock()

    async def dripping(visit: Visit) -> None:
        await visit.request()
        await visit.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            clock.advance(seconds=1)
            await visit.write(b"x")
            await turn()

    async def scenario() -> None:
        async with RawReceiver.running(dripping) as receiver, sending(clock) as sender:
            answer = await sender.send(post(receiver.port, timeout_seconds=10))
            assert answer.error in ("No answer within 10 s.", "No end of the answer within 10 s.")
            assert len(answer.body) < 15

    run(scenario())


# Leaving


def test_whoever_is_cancelled_leaves_no_connection_behind(run: Run) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def stalling(visit: Visit) -> None:
            await visit.request()
            asked.set()
            await visit.gone()

        async with RawReceiver.running(stalling) as receiver, sending() as sender:
            sent = asyncio.ensure_future(sender.send(post(receiver.port)))
            await asked.wait()
            sent.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sent
            await until(lambda: receiver.departures == 1)

    run(scenario())


def test_closing_ends_what_is_under_way_and_lets_nothing_new_begin(run: Run) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def stalling(visit: Visit) -> None:
            await visit.request()
            asked.set()
            await visit.gone()

        async with RawReceiver.running(stalling) as receiver, sending() as sender:
            sent = asyncio.ensure_future(sender.send(post(receiver.port)))
            await asked.wait()
            await asyncio.gather(sender.close(), sender.close())
            assert (await sent).error == STOPPED
            assert (await sender.send(post(receiver.port))).error == STOPPED
            assert receiver.visits == 1

    run(scenario())
