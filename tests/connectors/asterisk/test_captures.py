"""What a live Asterisk sent becomes the right calls, to the second, however it comes."""

import pytest

from tests.connectors.asterisk.captures import EXPECTED, Table, assert_right, capture, messages

NAMES = sorted(EXPECTED)


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_becomes_the_right_calls(name: str) -> None:
    assert_right(Table().hear(messages(capture(name))).payloads(), EXPECTED[name])
