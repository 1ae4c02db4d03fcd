"""An Asterisk, a real server and a subscriber: what was captured arrives as signed webhooks, also over cuts."""

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.asterisk import play_all

pytestmark = pytest.mark.slow

NAMES = ("inbound_voicemail_message", "outbound_click_to_call", "transfer_attended_refer", "two_calls_at_once")


@pytest.mark.parametrize("cut", [False, True])
def test_captures_arrive_as_the_right_webhooks(tmp_path: Path, cut: bool) -> None:
    played = asyncio.run(play_all(tmp_path, NAMES, at_its_pace=False, cut=cut))
    assert [each.name for each in played] == list(NAMES)
