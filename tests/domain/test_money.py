"""Prices: the currencies of ISO 4217, and one spelling for each amount."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.events import canonical_bytes
from hookline.domain.money import DECIMALS, HIGHEST_PRICE, WITHDRAWN, parse_currency, parse_price
from hookline.errors import Invalid, MissingField

currencies = st.sampled_from(sorted(DECIMALS))


@st.composite
def amounts(draw: st.DrawFn) -> tuple[str, Decimal]:
    """A currency and an amount that can be paid in it."""
    currency = draw(currencies)
    smallest = Decimal(1).scaleb(-DECIMALS[currency])
    return currency, draw(st.integers(0, HIGHEST_PRICE * 10 ** DECIMALS[currency])) * smallest


@given(amounts())
def test_an_amount_that_can_be_paid_comes_through_to_the_smallest_coin(paid: tuple[str, Decimal]) -> None:
    currency, amount = paid
    price = parse_price(float(amount), currency)
    assert Decimal(repr(price)) == amount


@given(amounts())
def test_a_whole_amount_is_an_integer_and_another_is_not(paid: tuple[str, Decimal]) -> None:
    currency, amount = paid
    assert type(parse_price(float(amount), currency)) is (int if amount == int(amount) else float)


@given(amounts())
def test_a_price_is_written_as_it_would_be_on_paper(paid: tuple[str, Decimal]) -> None:
    currency, amount = paid
    written = canonical_bytes(parse_price(float(amount), currency)).decode()
    assert written == (format(amount.normalize(), "f") if amount else "0")
    assert json.loads(written, parse_float=Decimal) == amount


@given(amounts())
def test_reading_a_price_again_changes_nothing(paid: tuple[str, Decimal]) -> None:
    once = parse_price(float(paid[1]), paid[0])
    assert repr(parse_price(once, paid[0])) == repr(once)


@given(currencies, st.integers(0, 10**6))
def test_one_decimal_more_than_the_currency_has_is_refused(currency: str, tens: int) -> None:
    too_fine = (Decimal(tens) * 10 + 1).scaleb(-DECIMALS[currency] - 1)
    with pytest.raises(Invalid, match=f"price: {currency} has {DECIMALS[currency]} decimals"):
        parse_price(float(too_fine), currency)


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [
        ("EUR", 2),
        ("USD", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("UGX", 0),
        ("KWD", 3),
        ("TND", 3),
        ("CLF", 4),
        ("MRU", 2),
    ],
)
def test_currencies_have_the_decimals_of_iso_4217(currency: str, decimals: int) -> None:
    assert DECIMALS[currency] == decimals


def test_codes_are_three_capitals() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in DECIMALS)


@given(currencies)
def test_a_currency_is_read_in_either_case(code: str) -> None:
    assert parse_currency(code) == parse_currency(code.lower()) == parse_currency(code.title()) == code


def test_no_currency_stays_none() -> None:
    assert parse_currency("") == ""


@pytest.mark.parametrize(
    "code", ["EURO", "EU", "€", " EUR", "EUR ", "XXX", "XAU", "ZZZ", "ßd", "ＥＵＲ", "eur\n", "ıqd"]
)
def test_what_is_no_currency_is_refused_by_name(code: str) -> None:
    with pytest.raises(Invalid, match="currency: expected an ISO 4217 code") as refusal:
        parse_currency(code)
    assert [field.field for field in refusal.value.fields] == ["currency"]


@pytest.mark.parametrize(
    ("code", "successor"),
    [("ANG", "XCG"), ("BGN", "EUR"), ("HRK", "EUR"), ("SLL", "SLE"), ("ZWL", "ZWG"), ("CUC", "CUP"), ("MRO", "MRU")],
)
def test_a_withdrawn_currency_is_refused_and_its_successor_is_named(code: str, successor: str) -> None:
    for spelling in (code, code.lower()):
        with pytest.raises(Invalid, match=f"currency: {code} was withdrawn; .* {successor}"):
            parse_currency(spelling)


def test_no_code_is_withdrawn_and_in_use_and_every_successor_is_in_use() -> None:
    assert not WITHDRAWN.keys() & DECIMALS.keys()
    assert set(WITHDRAWN.values()) <= DECIMALS.keys()


@given(st.text())
def test_any_text_is_a_currency_of_the_table_or_refused(text: str) -> None:
    try:
        code = parse_currency(text)
    except Invalid:
        return
    assert code == "" or code in DECIMALS


@pytest.mark.parametrize(
    "amount",
    [
        -0.01,
        -1,
        -1e-300,
        HIGHEST_PRICE + 1,
        HIGHEST_PRICE + 0.01,
        1e308,
        float("nan"),
        float("inf"),
        float("-inf"),
    ],
)
def test_a_price_outside_what_can_be_asked_is_refused(amount: float) -> None:
    with pytest.raises(Invalid, match="price: expected 0 to") as refusal:
        parse_price(amount, "EUR")
    assert refusal.value.code == "out_of_range"


@pytest.mark.parametrize("digits", [20, 400, 5000])  # past 64 bits, past a float, past what Python will print
def test_a_price_of_any_length_is_refused_alike(digits: int) -> None:
    with pytest.raises(Invalid, match="price: expected 0 to"):
        parse_price(10**digits, "EUR")


@pytest.mark.parametrize("amount", [0, 0.0, -0.0])
@pytest.mark.parametrize("currency", ["", "EUR", "JPY"])
def test_nothing_to_pay_is_written_as_nought_in_any_currency_or_none(amount: float, currency: str) -> None:
    assert repr(parse_price(amount, currency)) == "0"


@pytest.mark.parametrize("amount", [1, 0.5, 49.9])
def test_a_price_without_a_currency_is_refused_as_a_missing_currency(amount: float) -> None:
    with pytest.raises(Invalid, match="currency: is needed") as refusal:
        parse_price(amount, "")
    assert refusal.value.code == MissingField("currency").code
    assert [field.field for field in refusal.value.fields] == ["currency"]


@pytest.mark.parametrize(
    ("amount", "price"),
    [(123, 123), (123.0, 123), (1e2, 100), (49.90, 49.9), (0.1 + 0.7, None), (0.01, 0.01), (1e11 - 1, HIGHEST_PRICE)],
)
def test_an_amount_has_one_spelling(amount: float, price: float | None) -> None:
    if price is None:  # 0.1 + 0.7 is 0.7999999999999999: an artefact, and refused as one
        with pytest.raises(Invalid, match="EUR has 2 decimals"):
            parse_price(amount, "EUR")
    else:
        assert repr(parse_price(amount, "EUR")) == repr(price)


@given(st.floats() | st.integers(), currencies | st.just(""))
def test_any_number_is_priced_or_refused(amount: float, currency: str) -> None:
    try:
        price = parse_price(amount, currency)
    except Invalid:
        return
    assert price == amount
    assert 0 <= price <= HIGHEST_PRICE
