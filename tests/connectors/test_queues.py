"""The queues in which callers waited, as live phone systems told of them, in the legs of the call."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from hookline.domain.call_legs import LegOutcome, Party, QueueStay, legs_of
from hookline.domain.legs import Fact
from hookline.domain.phonebook import Phonebook
from tests.connectors.asterisk import captures as asterisk
from tests.connectors.freeswitch import captures as freeswitch
from tests.connectors.freeswitch.switch import live_phonebook


def stays(facts: Sequence[Fact], phonebook: Phonebook) -> list[QueueStay]:
    """The stays of the contact."""
    legs = legs_of(facts, phonebook).legs
    [contact] = [leg for leg in legs if leg.party is Party.CONTACT]
    return list(contact.queues)


def of_asterisk(name: str) -> list[Fact]:
    table = asterisk.Table(asterisk.LIVE)
    table.hear(message for message in asterisk.messages(asterisk.LIVE.stream(name)) if message)
    [facts] = [facts for facts in table.over.values() if facts]
    return facts


def of_freeswitch(name: str) -> list[Fact]:
    return [fact for said in freeswitch.capture(name).records for fact in said.report.facts]


@pytest.mark.parametrize(
    ("name", "queues"),
    [("queue_recorded", ["recq"]), ("queue_no_members", ["nobody"]), ("two_queues", ["sales", "support"])],
)
def test_queues_of_an_asterisk_are_told_with_their_times(name: str, queues: list[str]) -> None:
    found = stays(of_asterisk(name), asterisk.LIVE.phonebook())
    assert [stay.queue for stay in found] == queues
    assert all(stay.left_at is not None and stay.entered_at <= stay.left_at for stay in found)


@pytest.mark.parametrize(("name", "waited"), [("queue_answered", 2), ("queue_abandoned", 4)])
def test_a_queue_of_a_freeswitch_is_told_with_its_times(name: str, waited: int) -> None:
    [stay] = stays(of_freeswitch(name), live_phonebook("+441632960110"))
    assert stay.queue == "sales@default"
    assert stay.left_at is not None
    assert abs(stay.left_at - stay.entered_at - timedelta(seconds=waited)) <= timedelta(seconds=1)


def test_phones_of_an_asterisk_that_rang_in_vain_stand_in_the_legs() -> None:
    legs = legs_of(of_asterisk("queue_declined_then_colleague"), asterisk.LIVE.phonebook()).legs
    outcomes = [leg.outcome for leg in legs if leg.party is Party.USER]
    assert LegOutcome.ANSWERED in outcomes
    assert len(outcomes) > 1
