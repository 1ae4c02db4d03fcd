"""The real sender, from the URL to the socket, against everything that would lead it to where it must not connect.

Resolvers here are as bad as can be: whatever they are asked leads inside. What is counted is every socket that is told
to connect (Python's own audit), and every connection that a listener of this machine sees. Both have to be none.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final, Literal

import pytest

from hookline.domain.networks import Address
from hookline.domain.webhooks import parse_url
from hookline.errors import Invalid
from hookline.ports.sender import Answer
from tests.adapters.posting import OK, Run, both_loops, leading_to, post, sending
from tests.addresses import REFUSED, SPECIAL_V4, SPECIAL_V6
from tests.fakes import RawReceiver, Visit, answering

pytestmark = both_loops

#: Hosts as they may be written in a URL, `{port}` being that of the listener; the rest of the URL may be part of the
#: trick. Whoever read them otherwise than the sender does would call them harmless.
TRICKS: Final = (
    "http://a.example@127.0.0.1:{port}/",
    "http://a.example:80@127.0.0.1:{port}/",
    "http://a.example%2f@127.0.0.1:{port}/",
    "http://a.example%00@127.0.0.1:{port}/",
    "http://a.example;@127.0.0.1:{port}/",
    "http://a.example&@127.0.0.1:{port}/",
    "http://a@b@127.0.0.1:{port}/",
    "http://8.8.8.8@[::1]:{port}/",
    "http://127.0.0.1:{port}?@a.example/",
    "http://127.0.0.1:{port}/@a.example/",
    "http://127.0.0.1:{port}#@a.example/",
    "http://127.0.0.1:{port}\\@a.example/",
    "http://127.0.0.1:{port};a.example/",
    "http://127.0.0.1%20.a.example:{port}/",
    "http://127.0.0.1%00.a.example:{port}/",
    "http://127.0.0.1%2ea.example:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://%6c%6f%63%61%6c%68%6f%73%74:{port}/",
    "http://%5b::1%5d:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::ffff:127.0.0.1%25lo]:{port}/",
    "http://[v1.127.0.0.1]:{port}/",
    "http://[127.0.0.1]:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.0.0.1..:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://LOCALHOST:{port}/",
    "http://a.localhost:{port}/",
    "http://localhost.localdomain:{port}/",
    "http://ip6-localhost:{port}/",
    "http://127.0.0.1.nip.io:{port}/",
    "http://7f000001.nip.io:{port}/",
    "http://metadata.google.internal:{port}/",
    "http://xn--ls8h.example:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://ｌocalhost:{port}/",
    "http://lоcalhost:{port}/",  # a Cyrillic o
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "//127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_POST",
    "file://127.0.0.1:{port}/etc/passwd",
    "unix:///run/docker.sock",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\r\n:{port}/",
)
#: Every written form of a special address, as the host of a URL.
SPELLINGS: Final = tuple(
    f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{{port}}/" for host, _, _ in REFUSED
)
_SPECIAL: Final[tuple[IPv4Network | IPv6Network, ...]] = (*SPECIAL_V4, *SPECIAL_V6)
#: Where a name may lead: the two ends of every special range, and every address that is written somewhere above.
PLACES: Final = tuple(
    dict.fromkeys(
        [str(end) for each in _SPECIAL for end in (each.network_address, each.broadcast_address)]
        + [address for _, address, _ in REFUSED]
    )
)
CASES: Final = len(TRICKS) + len(SPELLINGS) + len(PLACES)

_watches: Final[list[list[Any]]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for watch in _watches:
            watch.append(arguments[1][:2])


sys.addaudithook(_audit)  # there is no way to take it back; without a watch it does nothing


@contextmanager
def every_connection() -> Iterator[list[Any]]:
    """Host and port of every socket that is told to connect within the block."""
    told: list[Any] = []
    _watches.append(told)
    try:
        yield told
    finally:
        _watches.remove(told)


async def answer_to(url: str, port: int, resolve: Any) -> Answer | None:
    """What comes of a POST to a URL as an owner wrote it; None when it is refused at creation."""
    try:
        target = parse_url(url.format(port=port))
    except Invalid:
        return None
    async with sending(allowed=(), resolve=resolve) as sender:
        return await sender.send(post(target.port, scheme=target.scheme, host=target.host, target=target.path))


def require_refused(answer: Answer | None, what: str) -> None:
    if answer is not None:
        assert answer.status is None, what
        assert "HOOKLINE_ALLOW_NETWORKS does not allow" in answer.error, (what, answer.error)
        assert answer.error.endswith("."), what


def test_there_are_at_least_150_cases(run: Run) -> None:
    print(f"{CASES} cases: {len(TRICKS)} tricks, {len(SPELLINGS)} spellings, {len(PLACES)} places")
    assert CASES >= 150


def test_no_spelling_and_no_trick_of_a_url_leads_inside(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as inside:
            with every_connection() as connections:
                for url in (*TRICKS, *SPELLINGS):
                    require_refused(await answer_to(url, inside.port, leading_to("127.0.0.1", "::1")), url)
            assert (connections, inside.visits) == ([], 0)

    run(scenario())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_leads_to_a_special_address_is_not_connected_to(run: Run, scheme: str) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as inside:
            with every_connection() as connections:
                for place in PLACES:
                    url = f"{scheme}://a.example:{{port}}/"
                    require_refused(await answer_to(url, inside.port, leading_to(place)), place)
            assert (connections, inside.visits) == ([], 0)

    run(scenario())


def test_what_is_counted_would_be_seen(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as inside, sending() as sender:
            with every_connection() as connections:
                assert (await sender.send(post(inside.port, host="a.example"))).status == 200
            assert (connections, inside.visits) == ([("127.0.0.1", inside.port)], 1)

    run(scenario())


@pytest.mark.parametrize(
    "network", ["127.0.0.1", "127.0.0.1/32", "127.0.0.0/8", "0.0.0.0/0", "::ffff:127.0.0.0/104", "10.0.0.0/8,127.0.0.1"]
)
@pytest.mark.parametrize("host", ["a.example", "127.0.0.1", "2130706433", "0x7f.1"])
def test_an_allowed_network_is_reached_by_name_and_by_every_spelling(run: Run, network: str, host: str) -> None:
    async def scenario() -> None:
        async with (
            RawReceiver.running(answering(OK)) as receiver,
            sending(allowed=network.split(","), resolve=leading_to("127.0.0.1")) as sender,
        ):
            answer = await sender.send(post(receiver.port, host=host))
            assert (answer.status, answer.error, receiver.visits) == (200, "", 1)

    run(scenario())


@pytest.mark.parametrize("inside", ["127.0.0.2", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.2", "fd00::1"])
@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_addresses_only_the_one_that_is_allowed_is_connected_to(run: Run, inside: str, is_first: bool) -> None:
    addresses = [inside, "127.0.0.1"] if is_first else ["127.0.0.1", inside]

    async def scenario() -> None:
        async with (
            RawReceiver.running(answering(OK)) as receiver,
            sending(allowed=["127.0.0.1"], resolve=leading_to(*addresses)) as sender,
        ):
            with every_connection() as connections:
                assert (await sender.send(post(receiver.port, host="a.example"))).status == 200
            assert connections == [("127.0.0.1", receiver.port)]

    run(scenario())


def test_an_address_that_is_not_allowed_is_no_way_out_when_the_allowed_one_does_not_answer(run: Run) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as gone:
            port = gone.port
        addresses = leading_to("127.0.0.1", "127.0.0.2", "::1")
        async with sending(allowed=["127.0.0.1"], resolve=addresses) as sender:
            with every_connection() as connections:
                answer = await sender.send(post(port, host="a.example"))
            assert answer.error == f"No connection to a.example (127.0.0.1) port {port}: connection refused."
            assert connections == [("127.0.0.1", port)]

    run(scenario())


class Rebinding:
    """A resolver that gives a good address first and then, for ever, one that leads inside."""

    def __init__(self, *inside: str) -> None:
        self.asked = 0
        self._inside = inside

    async def __call__(self, name: str, port: int) -> Sequence[Address]:
        self.asked += 1
        return [ip_address(each) for each in (["127.0.0.1"] if self.asked == 1 else self._inside)]


@pytest.mark.parametrize("inside", ["127.0.0.2", "169.254.169.254", "::1", "64:ff9b::7f00:2"])
def test_a_name_that_leads_inside_once_it_was_vetted_gains_nothing(run: Run, inside: str) -> None:
    async def scenario() -> None:
        resolve = Rebinding(inside)
        last = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        async with (
            RawReceiver.running(answering(OK, last)) as receiver,
            sending(allowed=["127.0.0.1"], resolve=resolve) as sender,
        ):
            request = post(receiver.port, host="a.example")
            with every_connection() as connections:
                assert (await sender.send(request)).status == 200
                assert resolve.asked == 1  # nobody asks again between the vetting and the connection
                assert (await sender.send(request)).status == 200  # over the connection that there is
                assert resolve.asked == 1
                for _ in range(3):
                    require_refused(await sender.send(request), inside)
                assert resolve.asked == 4
            assert connections == [("127.0.0.1", receiver.port)]
            assert receiver.visits == 1

    run(scenario())


@pytest.mark.parametrize("inside", ["127.0.0.2", "169.254.169.254", "::1"])
def test_a_name_that_leads_inside_at_the_repetition_on_a_fresh_connection_gains_nothing(run: Run, inside: str) -> None:
    async def scenario() -> None:
        async with (
            RawReceiver.running(answering(OK)) as receiver,  # which hangs up after its first answer
            sending(allowed=["127.0.0.1"], resolve=Rebinding(inside)) as sender,
        ):
            request = post(receiver.port, host="a.example")
            with every_connection() as connections:
                assert (await sender.send(request)).status == 200
                require_refused(await sender.send(request), inside)
            assert connections == [("127.0.0.1", receiver.port)]

    run(scenario())


@pytest.mark.parametrize("status", [201, 300, 301, 302, 303, 305, 307, 308, 399, 401, 503])
@pytest.mark.parametrize("place", ["http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http://169.254.169.254/latest"])
def test_no_answer_sends_it_elsewhere(run: Run, status: int, place: str) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(answering(OK)) as inside:
            where = place.format(port=inside.port)
            head = f"Location: {where}\r\nContent-Location: {where}\r\nRefresh: 0; url={where}\r\nLink: <{where}>"
            script = answering(f"HTTP/1.1 {status} Go\r\nContent-Length: 0\r\n{head}\r\n\r\n".encode())
            async with RawReceiver.running(script) as receiver, sending() as sender:
                with every_connection() as connections:
                    assert (await sender.send(post(receiver.port))).status == status
                assert connections == [("127.0.0.1", receiver.port)]
                assert inside.visits == 0

    run(scenario())


async def _hanging_up(visit: Visit) -> None:
    await visit.reader.read(1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_proxy_of_the_environment_is_ever_used(
    run: Run, scheme: Literal["http", "https"], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with RawReceiver.running(_hanging_up) as proxy, RawReceiver.running(_hanging_up) as receiver:
            for name in ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "socks_proxy", "no_proxy"):
                value = "" if name == "no_proxy" else f"http://127.0.0.1:{proxy.port}"
                monkeypatch.setenv(name, value)
                monkeypatch.setenv(name.upper(), value)
            async with sending() as sender:
                with every_connection() as connections:
                    await sender.send(post(receiver.port, scheme=scheme))
                assert connections == [("127.0.0.1", receiver.port)]
                assert (receiver.visits, proxy.visits) == (1, 0)

    run(scenario())
