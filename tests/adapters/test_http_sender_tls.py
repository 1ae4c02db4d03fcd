"""The sender over TLS: whose certificate it believes, and what it says when it does not."""

import asyncio
import ssl
from datetime import UTC, datetime

import pytest
import trustme

from hookline.ports.sender import Answer
from tests.adapters.posting import OK, Run, both_loops, post, sending
from tests.fakes import ManualClock, RawReceiver, Visit, answering, until

pytestmark = both_loops


class Authority:
    """A certificate authority that lives as long as a test run."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.trusting = ssl.create_default_context()
        self._authority.configure_trust(self.trusting)

    def server(
        self,
        *names: str,
        common_name: str | None = None,
        trusted: bool = True,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> ssl.SSLContext:
        """What a receiver needs to prove that it is `names`: names of hosts, and addresses. They are subject
        alternative names.
        """
        authority = self._authority if trusted else trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(
            *names, common_name=common_name, not_before=not_before, not_after=not_after
        ).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def told(authority: Authority, server: ssl.SSLContext, host: str) -> tuple[Answer, int]:
    """What comes of a POST to `host`, and the port."""
    async with RawReceiver.running(answering(OK), tls=server) as receiver, sending(tls=authority.trusting) as sender:
        return await sender.send(post(receiver.port, scheme="https", host=host)), receiver.port


@pytest.mark.parametrize("host", ["a.example", "A.Example", "a.example.", "127.0.0.1"])
def test_a_receiver_that_proves_its_name_gets_the_post(run: Run, authority: Authority, host: str) -> None:
    async def scenario() -> None:
        answer, _ = await told(authority, authority.server("a.example", "127.0.0.1"), host)
        assert (answer.status, answer.body, answer.error) == (200, b"ok", "")

    run(scenario())


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        ("b.example", "Hostname mismatch, certificate is not valid for 'b.example'"),
        ("127.0.0.1", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ],
)
def test_a_receiver_with_another_name_gets_nothing(run: Run, authority: Authority, host: str, complaint: str) -> None:
    async def scenario() -> None:
        answer, _ = await told(authority, authority.server("a.example"), host)
        only_san = "only its subject alternative names (SAN) count, not its common name"
        assert answer.error == f"The certificate of {host} is not valid: {complaint}; {only_san}."
        assert answer.status is None

    run(scenario())


def test_a_receiver_that_speaks_nothing_newer_than_tls_1_2_gets_the_post(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        server = authority.server("a.example")
        server.maximum_version = ssl.TLSVersion.TLSv1_2
        answer, _ = await told(authority, server, "a.example")
        assert (answer.status, answer.error) == (200, "")

    run(scenario())


def test_a_certificate_with_nothing_but_a_common_name_is_refused(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        for host in ("a.example", "127.0.0.1"):
            answer, _ = await told(authority, authority.server(common_name=host), host)
            assert answer.status is None
            assert "only its subject alternative names (SAN) count" in answer.error

    run(scenario())


def test_a_certificate_for_all_names_of_a_level_is_good_for_no_other_level(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        server = authority.server("*.b.example")
        assert (await told(authority, server, "a.b.example"))[0].status == 200
        for host in ("b.example", "a.a.b.example"):
            answer, _ = await told(authority, server, host)
            assert answer.status is None
            assert answer.error.startswith(f"The certificate of {host} is not valid: ")

    run(scenario())


@pytest.mark.parametrize(
    ("not_before", "not_after", "complaint"),
    [
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC), "certificate has expired"),
        (datetime(2999, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC), "certificate is not yet valid"),
    ],
)
def test_a_certificate_outside_its_time_is_refused(
    run: Run, authority: Authority, not_before: datetime, not_after: datetime, complaint: str
) -> None:
    async def scenario() -> None:
        server = authority.server("a.example", not_before=not_before, not_after=not_after)
        answer, _ = await told(authority, server, "a.example")
        assert answer.error == f"The certificate of a.example is not valid: {complaint}."

    run(scenario())


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1"])
def test_the_name_of_the_url_is_what_counts_and_not_the_address_that_it_led_to(
    run: Run, authority: Authority, host: str
) -> None:
    async def scenario() -> None:
        answer, _ = await told(authority, authority.server("127.0.0.1", "a.example"), host)
        assert answer.status is None
        assert answer.error.startswith(f"The certificate of {host} is not valid: ")

    run(scenario())


def test_nothing_of_the_request_leaves_before_the_certificate_was_believed(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        server = authority.server("b.example")
        async with (
            RawReceiver.running(answering(OK), tls=server) as receiver,
            sending(tls=authority.trusting) as sender,
        ):
            answer = await sender.send(post(receiver.port, scheme="https", host="a.example", body=b"secret"))
            assert answer.status is None
            assert receiver.requests == []

    run(scenario())


def test_a_connection_that_proved_one_name_is_not_used_for_another(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        server = authority.server("a.example")
        script = answering(OK, OK)
        async with RawReceiver.running(script, tls=server) as receiver, sending(tls=authority.trusting) as sender:
            assert (await sender.send(post(receiver.port, scheme="https", host="a.example"))).status == 200
            answer = await sender.send(post(receiver.port, scheme="https", host="b.example"))
            assert "not valid for 'b.example'" in answer.error
            assert len(receiver.requests) == 1

    run(scenario())


def test_a_certificate_that_nobody_vouches_for_is_refused(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        answer, _ = await told(authority, authority.server("a.example", trusted=False), "a.example")
        assert answer.error == "The certificate of a.example is not valid: unable to get local issuer certificate."

    run(scenario())


@pytest.mark.parametrize(("host", "announced"), [("a.example", "a.example"), ("127.0.0.1", None)])
def test_a_name_is_announced_and_an_address_is_not(
    run: Run, authority: Authority, host: str, announced: str | None
) -> None:
    async def scenario() -> None:
        heard: list[str | None] = []
        server = authority.server("a.example", "127.0.0.1")
        server.sni_callback = lambda _, name, __: heard.append(name)
        answer, _ = await told(authority, server, host)
        assert answer.status == 200
        assert heard == [announced]

    run(scenario())


def test_a_connection_over_tls_is_used_again(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        server = authority.server("a.example")
        script = answering(OK, OK, OK)
        async with RawReceiver.running(script, tls=server) as receiver, sending(tls=authority.trusting) as sender:
            for _ in range(3):
                assert (await sender.send(post(receiver.port, scheme="https", host="a.example"))).status == 200
            assert receiver.visits == 1

    run(scenario())


def test_a_long_body_arrives_whole_and_an_answer_that_lasts_until_the_end_is_read(
    run: Run, authority: Authority
) -> None:
    async def scenario() -> None:
        server = authority.server("a.example")
        script = answering(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        async with RawReceiver.running(script, tls=server) as receiver, sending(tls=authority.trusting) as sender:
            body = bytes(range(256)) * 5000
            answer = await sender.send(post(receiver.port, scheme="https", host="a.example", body=body))
            assert (answer.status, answer.body, answer.error) == (200, b"all of it", "")
            assert receiver.requests[0].endswith(body)

    run(scenario())


def test_a_receiver_that_speaks_no_tls_is_a_sentence(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        async def plain(visit: Visit) -> None:
            await visit.reader.read(1)
            await visit.write(b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n")
            await visit.gone()

        async with RawReceiver.running(plain) as receiver, sending(tls=authority.trusting) as sender:
            answer = await sender.send(post(receiver.port, scheme="https", host="a.example"))
            place = f"a.example port {receiver.port}"
            assert answer.error == f"No TLS connection to {place}: wrong version number."

    run(scenario())


def test_a_receiver_that_hangs_up_during_the_handshake_is_a_sentence(run: Run, authority: Authority) -> None:
    async def scenario() -> None:
        async def hanging_up(visit: Visit) -> None:
            await visit.reader.read(1)

        async with RawReceiver.running(hanging_up) as receiver, sending(tls=authority.trusting) as sender:
            answer = await sender.send(post(receiver.port, scheme="https", host="a.example"))
            assert answer.error.startswith(f"No TLS connection to a.example port {receiver.port}: ")

    run(scenario())


def test_a_handshake_that_does_not_end_is_given_up_after_the_time_for_connecting(
    run: Run, authority: Authority
) -> None:
    clock = ManualClock()

    async def scenario() -> None:
        greeted = asyncio.Event()

        async def silent(visit: Visit) -> None:
            await visit.reader.read(1)
            greeted.set()
            await visit.gone()

        async with RawReceiver.running(silent) as receiver, sending(clock, tls=authority.trusting) as sender:
            sent = asyncio.ensure_future(sender.send(post(receiver.port, scheme="https", host="a.example")))
            await greeted.wait()
            clock.advance(seconds=5)
            answer = await sent
            assert answer.error == f"No TLS connection to a.example port {receiver.port} within 5 s."
            await until(lambda: receiver.departures == 1)

    run(scenario())
