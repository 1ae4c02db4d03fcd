"""The one place that turns what was told into a number, on the corpus of spellings."""

import tracemalloc
from collections.abc import Callable

import pytest

from hookline.domain.calls import check_call
from hookline.domain.events import CallPayload, CallType
from hookline.domain.numbers import (
    MAX_SPELLING,
    NumberKind,
    ReadNumber,
    home_of,
    international,
    is_service,
    read_caller,
    read_number,
)
from hookline.domain.withheld import languages, words
from hookline.errors import Invalid
from tests.spellings import LINES, SPELLINGS, Spelling


def test_the_corpus_is_as_large_as_was_promised() -> None:
    assert len(SPELLINGS) >= 500
    assert {spelling.kind for spelling in SPELLINGS} == set(NumberKind)
    assert len({spelling.home for spelling in SPELLINGS if spelling.kind == NumberKind.E164}) >= 10


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda each: f"{each.home} {each.spelling!a}")
def test_a_spelling_is_understood(spelling: Spelling) -> None:
    read = read_caller(spelling.spelling, spelling.home, is_from_trunk=spelling.needs_trunk)
    assert (read.kind, read.text) == (spelling.kind, spelling.expected), spelling.why


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda each: f"{each.home} {each.spelling!a}")
def test_a_trunk_changes_nothing_but_digits_that_are_too_long_at_home(spelling: Spelling) -> None:
    from_trunk = read_caller(spelling.spelling, spelling.home, is_from_trunk=True)
    assert (from_trunk.kind, from_trunk.text) == (spelling.kind, spelling.expected), spelling.why
    elsewhere = read_caller(spelling.spelling, spelling.home)
    assert (elsewhere != from_trunk) == spelling.needs_trunk
    if spelling.needs_trunk:
        assert (elsewhere.kind, elsewhere.text) == (NumberKind.NOT_UNDERSTOOD, spelling.spelling)


@pytest.mark.parametrize(
    ("digits", "home", "number"),
    [("491711234567", "GB", "+491711234567"),
     ("33140000000", "GB", ""),  # it begins with 03314 000000, a number at home: a digit too many, perhaps
     ("14002007868", "GB", ""),  # possible abroad, but in no plan: somebody may have typed a digit too many
     ("207946001899", "GB", ""), ("31055501234", "US", ""), ("34915550123", "US", "+34915550123"),
     ("44123456789", "US", ""), ("441212345678", "US", "")],  # numbers of Bermuda, +1 441, and digits too many
)  # fmt: skip
def test_what_is_dialled_without_a_plus_has_to_be_in_a_numbering_plan(digits: str, home: str, number: str) -> None:
    assert read_number(digits, home, is_from_trunk=True).e164 == number
    assert read_number(digits, home).e164 == ""


@pytest.mark.parametrize("home", LINES)
def test_no_national_number_becomes_one_abroad(home: str) -> None:
    for each in SPELLINGS:
        if each.home == home and each.is_bare and not each.needs_trunk and each.kind == NumberKind.E164:
            for read in (read_caller, read_number):
                assert read(each.spelling, home, is_from_trunk=True).text == each.expected


@pytest.mark.parametrize("country", LINES)
def test_a_line_tells_where_national_numbers_are_at_home(country: str) -> None:
    assert home_of(LINES[country]) == country


def test_what_is_dialled_is_never_withheld() -> None:
    assert read_number("2562533", "US").kind is NumberKind.SHORT  # a number within one area, not BLOCKED
    assert read_number("000", "AU").text == "000"
    assert read_number("anonymous").kind is NumberKind.NOT_UNDERSTOOD


def test_words_of_twelve_languages_stand_for_withheld_numbers_in_any_case() -> None:
    assert len(languages()) >= 12
    for language in languages():
        for word in words(language):
            for spelt in (word, word.upper(), word.lower(), f" {word} ", f"<{word}>", f'"{word}"'):
                assert read_caller(spelt).kind is NumberKind.WITHHELD, spelt


@pytest.mark.parametrize("text", ["+" * 300, "1" * 10_000, "%2B" * 80, "\x00", "\ud800", "+44\n1"])
def test_what_nobody_would_call_a_number_is_not_understood(text: str) -> None:
    read = read_caller(text, "GB")
    assert read.kind is NumberKind.NOT_UNDERSTOOD
    assert len(read.text) <= 40
    assert read.text.isprintable()


def test_a_spelling_without_a_home_is_not_guessed_at() -> None:
    assert read_caller("3105550123").text == "3105550123"
    assert read_caller("3105550123").kind is NumberKind.NOT_UNDERSTOOD
    assert read_caller("441400800008").kind is NumberKind.NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("digits", "number"),
    [("441400800008", "+441400800008"), ("101", "101"), ("116117", "116117"), ("02079460018", "02079460018"),
     ("+441400800008", "+441400800008"), ("Alice", "Alice"), ("999123456789", "999123456789"), ("", "")],
)  # fmt: skip
def test_a_plus_is_added_where_a_system_writes_e164_without_it(digits: str, number: str) -> None:
    assert international(digits) == number


def test_services_are_known_by_country_and_some_everywhere() -> None:
    assert is_service("101", "GB")
    assert is_service("116117", "GB")
    assert not is_service("800008", "GB")
    assert not is_service("5550123", "US")
    assert not is_service("+442079460018", "GB")


def _reported(spelling: Spelling) -> str | None:
    call = CallPayload(
        phone_line=LINES[spelling.home], phone_number=spelling.spelling, type=CallType.MISSED,
    )  # fmt: skip
    try:
        return check_call(call).phone_number
    except Invalid:
        return None


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda each: f"{each.home} {each.spelling!a}")
def test_a_report_has_an_international_number_a_service_or_none_and_all_else_is_refused(spelling: Spelling) -> None:
    reported = _reported(spelling)
    if spelling.spelling == "":
        assert reported == ""
    elif spelling.kind in (NumberKind.E164, NumberKind.SHORT):
        needs_home = read_number(spelling.spelling).text != spelling.expected
        assert reported == spelling.expected or (reported is None and (needs_home or spelling.kind == NumberKind.SHORT))
    else:
        # Digits on a keypad behind a plus may be those of a number in China: who reports knows what is withheld.
        assert reported is None or reported == spelling.spelling == "+86282452253"


def test_the_longest_spelling_is_bounded() -> None:
    assert read_number("+44 " + " " * MAX_SPELLING + "2079460018").kind is NumberKind.NOT_UNDERSTOOD


@pytest.mark.parametrize("read", [read_number, read_caller])
def test_nothing_long_is_remembered(read: Callable[[str], ReadNumber]) -> None:
    read("+44 20 7946 0018")
    tracemalloc.start()
    try:
        for count in range(50):
            assert read(f"{count} " * 50_000).kind is NumberKind.NOT_UNDERSTOOD
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
