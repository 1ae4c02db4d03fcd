"""Prices: which currencies there are, how many decimals each has, and how a price is written.

The table is ISO 4217's list of active codes (SIX, list one, published 2026-01-01). Codes without a minor unit that
nobody pays a meeting with (gold, special drawing rights, test codes) are not in it. A withdrawn code is refused; the
refusal of a code that was withdrawn since 2000 names its successor.
"""

from decimal import Decimal
from typing import Final

from hookline.errors import FieldError, Invalid

_TWO: Final = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY
COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO
NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS
TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_ZERO: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE: Final = "BHD IQD JOD KWD LYD OMR TND"
_FOUR: Final = "CLF UYW"

#: ISO 4217 code -> digits after the decimal point.
DECIMALS: Final = {
    code: decimals for decimals, codes in enumerate((_ZERO, "", _TWO, _THREE, _FOUR)) for code in codes.split()
}
_SUCCESSORS: Final = {
    "EUR": "ATS BEF BGN CYP DEM EEK ESP FIM FRF GRD HRK IEP ITL LTL LUF LVL MTL NLG PTE SIT SKK XEU",
    "AFN": "AFA",
    "AOA": "AOR",
    "AZN": "AZM AYM",
    "BYN": "BYB BYR",
    "CUP": "CUC",
    "GHS": "GHC GHP",
    "MGA": "MGF",
    "MRU": "MRO",
    "MZN": "MZM",
    "RON": "ROL",
    "RSD": "CSD YUM",
    "SDG": "SDD",
    "SLE": "SLL",
    "STN": "STD",
    "TMT": "TMM",
    "TRY": "TRL",
    "UYU": "UYP",
    "VES": "VEB VEF",
    "XCG": "ANG",
    "ZMW": "ZMK",
    "ZWG": "ZWC ZWD ZWL ZWN ZWR",
}
#: A code of ISO 4217's list of historic denominations (list three) -> the code that took its place.
WITHDRAWN: Final = {code: successor for successor, codes in _SUCCESSORS.items() for code in codes.split()}
#: Up to here a price with four decimals has at most 15 digits, which a JSON number (binary64) carries exactly.
HIGHEST_PRICE: Final = 99_999_999_999


def parse_currency(text: str, field: str = "currency") -> str:
    """The ISO 4217 code in capitals; `""` stays `""` (a meeting that costs nothing needs none).

    Raises:
        Invalid: no such code, or one that was withdrawn.
    """
    code = text.upper() if text.isascii() else text
    if code in WITHDRAWN:
        raise Invalid.field(field, f"{code} was withdrawn; expected a currency in use, such as {WITHDRAWN[code]}.")
    if code and code not in DECIMALS:
        raise Invalid.field(field, f"expected an ISO 4217 code such as EUR, got {text[:40]!r}.")
    return code


def parse_price(amount: float, currency: str) -> int | float:
    """A price in major units, in its one spelling: a whole amount as `int`, else the shortest decimal.

    Raises:
        Invalid: negative, not finite, too high, without a currency, or with more decimals than `currency` has.
    """
    if not 0 <= amount <= HIGHEST_PRICE:  # nor is NaN; and an integer may be too long to be shown
        raise Invalid.field("price", f"expected 0 to {HIGHEST_PRICE}.", code="out_of_range")
    exact = Decimal(repr(amount))
    if exact == exact.to_integral_value():
        price: int | float = int(exact)
    else:
        price = float(amount)
    if price and not currency:
        message = "is needed when there is a price."
        raise Invalid(f"currency: {message}", code="missing_parameter", fields=[FieldError("currency", message)])
    decimals = -int(exact.normalize().as_tuple().exponent)
    if decimals > DECIMALS.get(currency, 0):
        raise Invalid.field("price", f"{currency} has {DECIMALS[currency]} decimals, got {amount}.")
    return price
