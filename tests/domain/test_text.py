"""Rules that any text from outside must keep, and mail addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.events import Participant
from hookline.domain.text import require_email, require_storable, require_storable_text
from hookline.errors import Invalid


def refused_field(value: object, path: str = "") -> str:
    with pytest.raises(Invalid) as refused:
        require_storable(value, path)
    return refused.value.fields[0].field


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_every_text_of_whole_characters_can_be_kept(text: str) -> None:
    require_storable_text(text, "notes")


@given(st.text(), st.sampled_from(["\0", "\ud800", "\udbff", "\udc00", "\udfff"]), st.text())
def test_nul_and_half_characters_cannot(before: str, wrong: str, after: str) -> None:
    with pytest.raises(Invalid):
        require_storable_text(before + wrong + after, "notes")


@given(st.text())
def test_what_can_be_kept_is_what_utf_8_can_write_without_nul(text: str) -> None:
    try:
        writable = b"\0" not in text.encode()
    except UnicodeEncodeError:
        writable = False
    try:
        require_storable_text(text, "notes")
    except Invalid:
        assert not writable
    else:
        assert writable


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": {"b": ["", {"c": "\0"}]}}, "a.b[1].c"),
        ({"a": {"\0": 1}}, "a"),
        ({"\0": 1}, "a key"),
        ((Participant(EMAIL="a@b.example", LASTNAME="\ud800"),), "[0].LASTNAME"),
        (["", "\0"], "[1]"),
        ([[["\0"]]], "[0][0][0]"),
    ],
)
def test_the_refusal_says_where_it_stands(value: object, field: str) -> None:
    assert refused_field(value) == field


def test_what_holds_no_text_can_be_kept() -> None:
    require_storable({"a": [1, 2.5, True, None, {}, []]})


# Mail addresses


@pytest.mark.parametrize(
    "address",
    [
        *("anna@example.com", "john@example.coo", "a@b.example", "Zoë@exämple.com", "o'brien+tag@sub.example.co.uk"),
        *("anna@office.local", "anna@host.test", "first.last@example.com", "用户@例子.广告"),
        "a" * 64 + "@example.com",
    ],
)
def test_mail_addresses_that_people_have_are_taken(address: str) -> None:
    require_email(address, "account_email")


@pytest.mark.parametrize(
    "address",
    [
        *(
            "",
            " ",
            "anna",
            "@example.com",
            "anna@",
            "anna@@example.com",
            "anna example@example.com",
            "anna@exa mple.com",
        ),
        *(".anna@example.com", "an..na@example.com", "anna@-example.com", "Anna <anna@example.com>", "a@b.example\n"),
        *("a@b.example, c@d.example", "\0@example.com", "a@" + "b" * 250 + ".example"),
    ],
)
def test_what_is_no_mail_address_is_refused_by_name(address: str) -> None:
    with pytest.raises(Invalid) as refused:
        require_email(address, "account_email")
    assert refused.value.fields[0].field == "account_email"


@given(st.text(max_size=300))
def test_whatever_is_written_is_taken_or_refused(address: str) -> None:
    try:
        require_email(address, "account_email")
    except Invalid:
        return
    assert address.count("@") >= 1
    assert len(address) <= 254
