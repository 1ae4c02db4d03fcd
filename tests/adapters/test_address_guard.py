"""The guard: what it resolves, what it lets through, what it says when it does not."""

import asyncio
import errno
import socket
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from hookline.adapters.address_guard import AddressGuard, NowhereToConnect, Resolve
from hookline.domain.networks import Address, AllowedNetworks
from tests.fakes import until


def leading_to(*addresses: str) -> Resolve:
    async def resolve(name: str, port: int) -> Sequence[Address]:
        return [ip_address(address) for address in addresses]

    return resolve


def failing_with(error: Exception) -> Resolve:
    async def resolve(name: str, port: int) -> Sequence[Address]:
        raise error

    return resolve


def vetted(host: str, resolve: Resolve, *allowed: str) -> list[str]:
    guard = AddressGuard(AllowedNetworks(allowed), resolve)
    return [str(address) for address in asyncio.run(_vetted(guard, host))]


async def _vetted(guard: AddressGuard, host: str) -> Sequence[Address]:
    return await guard.vetted(host, 443)


def refusal(host: str, resolve: Resolve, *allowed: str) -> str:
    with pytest.raises(NowhereToConnect) as caught:
        vetted(host, resolve, *allowed)
    return str(caught.value)


def test_public_addresses_pass_in_the_order_of_the_resolver() -> None:
    assert vetted("a.example", leading_to("2606:4700::1111", "8.8.8.8")) == ["2606:4700::1111", "8.8.8.8"]


def test_a_name_that_leads_inside_is_refused() -> None:
    assert refusal("a.example", leading_to("127.0.0.1")) == (
        "a.example leads to 127.0.0.1 (loopback), which HOOKLINE_ALLOW_NETWORKS does not allow."
    )


def test_of_several_addresses_only_the_good_are_used() -> None:
    assert vetted("a.example", leading_to("10.0.0.1", "8.8.8.8", "::1")) == ["8.8.8.8"]


def test_an_allowed_network_is_let_through() -> None:
    assert vetted("a.example", leading_to("10.2.0.9"), "10.2.0.0/16") == ["10.2.0.9"]


def test_the_wrapping_that_a_resolver_puts_around_loopback_does_not_help() -> None:
    assert "127.0.0.1 inside" in refusal("a.example", leading_to("64:ff9b::7f00:1"))


def test_a_written_out_address_is_judged_without_asking_the_resolver() -> None:
    nobody = failing_with(AssertionError("was asked"))
    assert vetted("8.8.8.8", nobody) == ["8.8.8.8"]
    assert vetted("2130706433", nobody, "127.0.0.0/8") == ["127.0.0.1"]
    assert (
        refusal("0x7f.1", nobody)
        == "127.0.0.1 is not public (loopback), and HOOKLINE_ALLOW_NETWORKS does not allow it."
    )


def test_a_name_without_addresses_is_said_to_have_none() -> None:
    assert refusal("a.example", leading_to()) == "The name a.example has no address."
    nothing = failing_with(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    assert refusal("a.example", nothing) == "The name a.example has no address."


def test_a_resolver_in_trouble_is_told_apart_from_a_name_without_addresses() -> None:
    later = failing_with(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    assert refusal("a.example", later) == (
        "The name a.example could not be resolved: temporary failure in name resolution."
    )
    full = failing_with(OSError(errno.EMFILE, "Too many open files"))
    assert refusal("a.example", full) == "The name a.example could not be resolved: too many open files."


@pytest.mark.parametrize("name", ["a..example", "a" * 64 + ".example", "a\0b.example", ".example"])
def test_what_can_be_no_name_is_a_sentence_too(name: str) -> None:
    with pytest.raises(NowhereToConnect, match=r"can be no name of a host|has no address"):
        asyncio.run(_vetted(AddressGuard(AllowedNetworks()), name))


def test_a_name_is_resolved_anew_for_every_connection() -> None:
    answers = iter(["8.8.8.8", "127.0.0.1"])

    async def rebinding(name: str, port: int) -> Sequence[Address]:
        return [ip_address(next(answers))]

    async def scenario() -> None:
        guard = AddressGuard(AllowedNetworks(), rebinding)
        assert [str(address) for address in await guard.vetted("a.example", 443)] == ["8.8.8.8"]
        with pytest.raises(NowhereToConnect):
            await guard.vetted("a.example", 443)

    asyncio.run(scenario())


def test_those_who_ask_at_the_same_moment_share_one_lookup_also_when_one_of_them_leaves() -> None:
    async def scenario() -> None:
        asked: list[str] = []
        answer = asyncio.Event()

        async def slow(name: str, port: int) -> Sequence[Address]:
            asked.append(name)
            await answer.wait()
            return [ip_address("8.8.8.8")]

        guard = AddressGuard(AllowedNetworks(), slow)
        leaving, staying = (asyncio.ensure_future(guard.vetted("a.example", 443)) for _ in range(2))
        await until(lambda: bool(asked))
        leaving.cancel()
        answer.set()
        assert [str(address) for address in await staying] == ["8.8.8.8"]
        await guard.vetted("a.example", 443)
        assert asked == ["a.example"] * 2

    asyncio.run(scenario())


def test_the_resolver_of_the_machine_knows_localhost() -> None:
    guard = AddressGuard(AllowedNetworks(["127.0.0.0/8", "::1"]))
    assert {str(address) for address in asyncio.run(_vetted(guard, "localhost"))} <= {"127.0.0.1", "::1"}
