"""Whatever the network makes of a stream, the same messages come out; and nothing that comes in does harm."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hookline.connectors.asterisk.framing import MOST_BYTES, Framing, Message
from tests.connectors.asterisk.captures import EXPECTED, capture, messages

Pairs = list[tuple[str, str]]
BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def read(*pieces: bytes) -> list[Pairs]:
    framing = Framing()
    return [list(message.pairs()) for piece in pieces for message in framing.feed(piece)]


def cut(stream: bytes, size: int) -> list[bytes]:
    return [stream[start : start + size] for start in range(0, len(stream), size)]


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("size", [7, 1400, 65536])
def test_a_capture_is_the_same_messages_in_pieces_of_any_size(name: str, size: int) -> None:
    simplest = [list(message.items()) for message in messages(capture(name)) if message]
    assert [list(dict(pairs).items()) for pairs in read(*cut(capture(name), size))] == simplest


def test_every_byte_may_come_by_itself() -> None:
    stream = capture("two_calls_at_once")
    assert read(*cut(stream, 1)) == read(stream)


@given(st.data())
def test_it_does_not_matter_where_a_stream_is_cut(data: st.DataObject) -> None:
    line = st.binary(max_size=12) | st.sampled_from([b"Event: Hangup", b"Value: a: b", b"", b"Key:", b": "])
    end = data.draw(st.sampled_from([b"\r\n", b"\n"]))
    stream = end.join(data.draw(st.lists(line, max_size=30)))
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    assert read(*pieces) == read(stream)


@settings(max_examples=30)
@given(st.integers(-5, 5), st.integers(1, MOST_BYTES))
@example(3, 9)  # the piece with the last byte of the end brings the beginning of the next message
def test_a_message_that_is_too_long_is_skipped_and_counted_wherever_it_is_cut(more: int, size: int) -> None:
    head = b"Event: A\r\nValue: "
    long = head + b"x" * (MOST_BYTES + more - len(head))
    framing = Framing()
    found = [
        message
        for piece in cut(BANNER + b"\r\n" + long + b"\r\n\r\nEvent: B\r\n\r\n", size)
        for message in framing.feed(piece)
    ]
    assert [message.get("Event") for message in found if message.get("Event")] == ["B"] if more > 0 else ["A", "B"]
    assert framing.skipped == (more > 0)


@given(st.lists(st.binary(max_size=300), max_size=40))
def test_no_bytes_can_make_it_fail_or_grow(pieces: list[bytes]) -> None:
    framing = Framing()
    for piece in pieces * 10:
        for message in framing.feed(piece * 20):
            for _, value in message.pairs():
                assert "\0" not in value
                value.encode()
        assert sum(map(len, framing._pieces)) <= MOST_BYTES + 3
        assert framing._size == sum(map(len, framing._pieces))


def test_the_first_line_says_who_is_there_before_any_message_is_complete() -> None:
    framing = Framing()
    assert framing.feed(b"Asterisk Call") == []
    assert framing.first_line is None
    assert framing.feed(b" Manager/7.0.3\r\n") == []
    assert framing.first_line == "Asterisk Call Manager/7.0.3"


def test_values_hold_what_they_hold() -> None:
    [message] = Framing().feed(b"Event: VarSet\r\nValue: a: b\r\nEmpty: \r\nName: J\xc3\xb6rg \xff\0\r\n\r\n")
    assert message.get("Value") == "a: b"
    assert message.get("Empty", "x") == ""
    assert message.get("Name") == "Jörg \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    assert message.get("alue") == ""
    assert message.get("None", "x") == "x"


def test_keys_that_come_again_are_kept_and_the_first_counts() -> None:
    [message] = Framing().feed(b"ChanVariable: a=1\r\nEvent: X\r\nChanVariable: b=2\r\n\r\n")
    assert message.get("ChanVariable") == "a=1"
    assert list(message.pairs()) == [("ChanVariable", "a=1"), ("Event", "X"), ("ChanVariable", "b=2")]


def test_lines_may_end_as_on_other_systems() -> None:
    stream = capture("inbound_answered")
    assert read(stream.replace(b"\r\n", b"\n")) == read(stream)


def test_empty_lines_and_garbage_between_messages_are_passed_over() -> None:
    found = read(BANNER, b"Event: A\r\n\r\n\r\n\r\n\r\n\x00garbage\r\n\r\nEvent: B\r\n\r\n")
    assert [pairs for pairs in found if pairs] == [[("Event", "A")], [("Event", "B")]]


def test_the_output_of_a_command_in_the_old_form_is_one_message() -> None:
    old = b"Response: Follows\r\nPrivilege: Command\r\nsome output\n\nmore\n--END COMMAND--\r\n\r\nEvent: A\r\n\r\n"
    first, second = Framing().feed(BANNER + old)
    assert first.get("Response") == "Follows"
    assert second.get("Event") == "A"


def test_a_message_can_be_read_by_people() -> None:
    assert repr(Message(b"Event: A\r\nKey: b")) == "Message({'Event': 'A', 'Key': 'b'})"
