"""Telephone numbers: the one place that turns what was told into a number. Which are lines of ours: `phonebook.py`.

What comes in is a number as a person, a script or a phone system writes it. What goes out says how it was understood:

| kind             | example                                | text                                         |
|------------------|----------------------------------------|----------------------------------------------|
| `E164`           | `sip:020%207946%200018@pbx`, home GB   | `+442079460018`                              |
| `SHORT`          | `112`, `116117`, `5550123` in the US   | as dialled: it has no international form     |
| `WITHHELD`       | `Anonymous`, `+266696687`, ``          | `""`; only callers can withhold their number |
| `NOT_UNDERSTOOD` | `441400A800008`, `john`                | as told if it has a digit, else `""`         |

Nothing is mended: a letter among the digits is not dropped, since what is left is the number of somebody else.

A number without `+` is at home in the country of the line. Where a reading abroad is possible too, and only that one is
in a numbering plan, the digits are not understood: a wrong number is worse than none.

SIP trunks hand on the international numbers of the telephone network, and many drop the `+`. Only what such a trunk
tells (`is_from_trunk`) is read as E.164 without the `+`, and only if the digits are too long for any number at home and
are a whole number abroad, none of them left out. A caller's number comes from the network, so a possible one is enough.
What is dialled is typed by a person, who may type a digit too many: it has to be in a numbering plan abroad, and must
not begin with a number that is in the plan at home.

Otherwise possible numbers are enough: numbering plans change faster than their tables.

Sources: ITU-T E.123 and E.164; RFC 3966 (`tel:`), RFC 3261 section 19.1 (`sip:`), RFC 4694 (`npdi`, `rn`);
libphonenumber.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberFormat, ValidationResult

from hookline.domain.withheld import is_keypad_word, is_withheld_host, is_withheld_word

#: Characters of a spelling that are looked at; nothing that is longer is a number.
MAX_SPELLING: Final = 255
#: E.164 with its plus, and nothing else.
_PLAIN: Final = re.compile(r"\+[0-9]+")
#: Characters of what is told although it was not understood.
MAX_TOLD: Final = 40
#: Digits of a short number at most. EU harmonised services (116xxx) and directory enquiries (118xxx) have six.
MAX_SHORT_DIGITS: Final = 6

_SCHEMES: Final = frozenset({"tel", "sip", "sips"})
#: Marks between digits: E.123 section 7, RFC 3966 section 5.1.1, and the dashes and spaces of word processors.
_SEPARATORS: Final = frozenset(" \t.-/()\u00a0\u2007\u2009\u202f\u3000\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d")
_EXTENSION: Final = re.compile(r"(?:\s*(?:;ext=|,|#|\bextension|\bextn?\.?|(?<=[\d ])x)\s*\d{1,11})\s*$", re.IGNORECASE)
_CONTEXT: Final = re.compile(r";phone-context=(\+[\d().-]*\d)", re.IGNORECASE)
#: The parameters behind a number, such as `;cpc=ordinary;npdi`: RFC 3966 section 3. Another number is none.
_PARAMETERS: Final = re.compile(r"(?:;[A-Za-z][\w.!%*'~-]*(?:=[^\s;]*)?)*", re.ASCII)
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_DIGITS: Final = re.compile(r"\+?\d+")
#: Three letters and more at the end, behind digits: +1 800 FLOWERS. ITU-T E.161 says which digit a letter is.
_VANITY: Final = re.compile(r"(\+\d+)([A-Za-z]{3,})")
_KEYS: Final = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999", strict=True))
#: Ways to dial abroad that are tried where the home's own prefix does not fit: ITU-T E.164 recommends 00.
_ABROAD: Final = "00"
#: Trunk prefixes that people write behind a country code, as in +44 (0)20 7946 0018 and +7 8 912 345 67 89.
_WRITTEN_TRUNK_PREFIXES: Final = frozenset({"0", "8"})
#: Retired prefixes that carriers still send, in front of the ten digits of a Mexican number: mobile +52 1, national 01,
#: 044 and 045. Source: IFT, Plan Técnico Fundamental de Numeración, in force since August 2019.
_MEXICO: Final = 52
_MEXICAN: Final = re.compile(r"(?:\+52|0052)1(\d{10})")
_MEXICAN_AT_HOME: Final = re.compile(r"(?:01|044|045|1)(\d{10})")
#: No area code of the North American Numbering Plan begins with 0 or 1, so that 0011... is not 00 in front of +11...
_NO_AREA_CODES: Final = ("+10", "+11")
#: Services that many countries have in common: GSM 02.30 (112, 911), European Commission decision 2007/116/EC (116xxx).
_COMMON_SERVICES: Final = re.compile(r"112|911|116\d{3}")
#: The one service whose number begins like a trunk prefix.
_AUSTRALIAN_EMERGENCY: Final = "000"
#: Argentina: 15 in front of a mobile number is 9 behind the country code. Source: ITU, national numbering plan of AR.
_ARGENTINA: Final = 54


class NumberKind(StrEnum):
    """How a spelling was understood."""

    E164 = "e164"
    SHORT = "short"
    WITHHELD = "withheld"
    NOT_UNDERSTOOD = "not understood"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadNumber:
    """A spelling, understood or not."""

    kind: NumberKind
    text: str  # see the table of this module

    @property
    def e164(self) -> str:
        """The number if it has an international form, else ""."""
        return self.text if self.kind is NumberKind.E164 else ""


class _Plusless(StrEnum):
    """Which digits that are too long at home are E.164 without the plus."""

    NONE = "none"
    POSSIBLE = "possible"  # a number of that length exists abroad
    VALID = "valid"  # and it is in a numbering plan, and does not begin with a number at home


_WITHHELD: Final = ReadNumber(kind=NumberKind.WITHHELD, text="")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subscriber:
    """What is left of an address: the telephone number in it."""

    text: str
    region: str  # of its phone context; "" when it has none
    is_withheld: bool = False


def read_number(spelling: str, home: str = "", *, is_from_trunk: bool = False) -> ReadNumber:
    """A number that somebody dialled or that is a line. `home` is the ISO 3166-1 country of numbers without a `+`.

    `is_from_trunk` is true of what a SIP trunk signals: see the top of this module.
    """
    if len(spelling) > MAX_SPELLING:  # of what is read some is remembered: nothing long
        return _told(spelling)
    return _read(spelling, home, _Plusless.VALID if is_from_trunk else _Plusless.NONE)


def read_caller(spelling: str, home: str = "", *, is_from_trunk: bool = False) -> ReadNumber:
    """The number that is shown of a caller, who may have withheld it."""
    if len(spelling) > MAX_SPELLING:
        return _told(spelling)
    if _is_withheld(spelling):
        return _WITHHELD
    return _read(spelling, home, _Plusless.POSSIBLE if is_from_trunk else _Plusless.NONE)


def e164(spelling: str, region: str = "") -> str:
    """E.164 of a number in any spelling that has its country code, or is at home in `region`; "" of what is none."""
    return read_number(spelling, region).e164


def home_of(number: str) -> str:
    """The ISO 3166-1 country in which an E.164 number is at home; "" for those of no country (+800, +870)."""
    return _home_of(number)


def international(digits: str) -> str:
    """E.164 of digits from a system whose documents say that it writes E.164 without the plus; else as they are."""
    if digits.isascii() and digits.isdigit() and len(digits) > MAX_SHORT_DIGITS and not digits.startswith("0"):
        return f"+{digits}" if _abroad(f"+{digits}") else digits
    return digits


def is_withheld(spelling: str) -> bool:
    """True when a caller's number is a stand-in for one that is withheld or not available."""
    return len(spelling) <= MAX_SPELLING and _is_withheld(spelling)


def is_international(spelling: str) -> bool:
    """True when a spelling has its country code, so that it is a number of the telephone network anywhere."""
    return bool(e164(spelling))


@lru_cache(maxsize=4096)
def is_service(digits: str, home: str) -> bool:
    """True for the digits of a service in this country, such as 112 or 116117: it has no international form."""
    if _COMMON_SERVICES.fullmatch(digits):
        return True
    number = _parsed(digits, home) if home and digits.isascii() and digits.isdigit() else None
    return number is not None and phonenumbers.is_valid_short_number_for_region(number, home)


@lru_cache(maxsize=16_384)
def _is_withheld(spelling: str) -> bool:
    if _PLAIN.fullmatch(spelling):
        return is_keypad_word(spelling[1:])  # most numbers are, and the rest takes 15 µs
    it = _subscriber(spelling)
    if it is not None and (it.is_withheld or is_withheld_word(it.text)):
        return True
    return is_withheld_word(spelling)


@lru_cache(maxsize=16_384)
def _read(spelling: str, home: str, plusless: _Plusless) -> ReadNumber:
    it = _subscriber(spelling)
    digits = _digits_of(it.text) if it is not None else ""
    if it is None or not digits:
        return _told(spelling if it is None else it.text)
    number = _e164(digits, it.region or home, plusless)
    if number:
        return ReadNumber(kind=NumberKind.E164, text=number)
    if _is_short(digits, it.region or home):
        return ReadNumber(kind=NumberKind.SHORT, text=digits)
    return ReadNumber(kind=NumberKind.NOT_UNDERSTOOD, text=digits[:MAX_TOLD])


def _told(text: str) -> ReadNumber:
    """What is not understood, as it was told, where it has a digit: a name is not a number."""
    shown = "".join(each for each in text[:MAX_SPELLING] if each.isprintable()).strip()[:MAX_TOLD]
    has_digit = any(each.isdecimal() for each in shown)
    return ReadNumber(kind=NumberKind.NOT_UNDERSTOOD, text=shown if has_digit else "")


def _subscriber(spelling: str) -> _Subscriber | None:
    """The telephone number in an address: RFC 3261 section 25.1 `name-addr`, RFC 3966 `telephone-subscriber`.

    None when it is an address of another kind, or none that can be read.
    """
    text = spelling.strip()
    if "<" in text and not is_withheld_word(text):
        _, _, inside = text.rpartition("<")
        text, closed, behind = inside.partition(">")
        if not closed or (behind.strip() and not behind.strip().startswith(";")):
            return None
        text = text.strip()
    scheme, colon, rest = text.partition(":")
    if colon:
        if scheme.strip().lower() not in _SCHEMES:
            return None
        text = rest.strip()
    return _without_parameters(text, is_tel=scheme.strip().lower() == "tel")


def _without_parameters(text: str, *, is_tel: bool) -> _Subscriber | None:
    """The number in front of its parameters; None when what stands behind it are none."""
    user, at, host = ("", "", "") if is_tel else text.rpartition("@")
    if not at:
        user = text if is_tel else text.partition("?")[0]
    context = _CONTEXT.search(user)
    region = _home_of(re.sub(r"[().-]", "", context[1])) or _region_of_code(context[1]) if context is not None else ""
    plain, semicolon, behind = user.partition(";")
    if not _PARAMETERS.fullmatch(semicolon + behind):
        return None
    if at:
        plain = plain.partition(":")[0]  # a password: RFC 3261 section 19.1.1
    decoded = unquote(plain) if _PERCENT.search(plain) else plain
    return _Subscriber(text=decoded.partition(";")[0].strip(), region=region, is_withheld=is_withheld_host(host))


def _digits_of(text: str) -> str:
    """The digits, with a plus where there is one; "" when anything else is among them."""
    plain = "".join(_plain(each) for each in text)
    plain = _EXTENSION.sub("", plain) if plain[:1] in "+(0123456789" else plain
    packed = "".join(each for each in plain if each not in _SEPARATORS)
    if _DIGITS.fullmatch(packed):
        return packed
    vanity = _VANITY.fullmatch(packed)
    return vanity[1] + "".join(_KEYS[letter] for letter in vanity[2].upper()) if vanity is not None else ""


def _plain(character: str) -> str:
    """A digit of any script as ASCII; nothing of marks that cannot be seen."""
    if character.isascii():
        return character
    if character == "\uff0b":
        return "+"
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    return "" if category == "Cf" else character


def _e164(digits: str, home: str, plusless: _Plusless) -> str:
    if digits.startswith("+"):
        return _abroad(digits)
    if len(digits) <= MAX_SHORT_DIGITS and not digits.startswith("0"):
        return _small_country(digits, home)
    at_home = _at_home(digits, home) if home else None
    if at_home is not None:
        return _unless_abroad_fits_better(digits, at_home)
    if digits.startswith(_ABROAD):
        return _abroad("+" + digits[len(_ABROAD) :])
    return _without_plus(digits, home, plusless) if home else ""


def _without_plus(digits: str, home: str, plusless: _Plusless) -> str:
    """E.164 of digits that have their country code, but not its plus; "" if they may be anything else."""
    if plusless is _Plusless.NONE or digits.startswith("0") or not _is_too_long(digits, home):
        return ""
    whole = f"+{digits}"
    if _abroad(whole) != whole:
        return ""
    if plusless is _Plusless.POSSIBLE:
        return whole
    return whole if _is_in_a_plan(whole) and not _begins_at_home(digits, home) else ""


def _is_in_a_plan(digits: str, home: str | None = None) -> bool:
    number = _parsed(digits, home)
    return number is not None and phonenumbers.is_valid_number(number)


def _begins_at_home(digits: str, home: str) -> bool:
    """True when fewer of the digits are a number of this country: somebody typed too many."""
    return any(_is_in_a_plan(digits[:-too_many], home) for too_many in (1, 2, 3))


def _abroad(digits: str) -> str:
    """E.164 of digits that have their country code, unless the library changed more than is known to be right."""
    if (mexican := _MEXICAN.fullmatch(digits)) is not None:
        digits = f"+{_MEXICO}{mexican[1]}"
    number = _parsed(digits, None)
    if number is None or not _is_possible(number) or digits.startswith(_NO_AREA_CODES):
        return ""
    text = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if text == digits or number.country_code == _ARGENTINA:
        return text
    code = f"+{number.country_code}"
    national = digits.removeprefix(code)
    for prefix in _WRITTEN_TRUNK_PREFIXES:
        if national == prefix + text.removeprefix(code) and _trunk_prefix(number.country_code or 0) == prefix:
            return text
    return ""


def _at_home(digits: str, home: str) -> PhoneNumber | None:
    """The number as it is dialled in this country, which may lead abroad."""
    if home == "MX" and (mexican := _MEXICAN_AT_HOME.fullmatch(digits)) is not None:
        digits = mexican[1]
    if (mexican := _MEXICAN.fullmatch(digits)) is not None:
        digits = f"+{_MEXICO}{mexican[1]}"
    number = _parsed(digits, home)
    if number is not None and number.country_code == _MEXICO and home != "MX":
        text = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        number = _parsed(_abroad(text), None) if _MEXICAN.fullmatch(text) else number
    return number if number is not None and _is_possible(number) else None


def _unless_abroad_fits_better(digits: str, number: PhoneNumber) -> str:
    """E.164 of a number at home; "" when it is in no numbering plan, and the same digits behind a plus are in one."""
    if not digits.startswith("0") and not phonenumbers.is_valid_number(number):
        abroad = _parsed(f"+{digits}", None)
        if abroad is not None and abroad.country_code != number.country_code and phonenumbers.is_valid_number(abroad):
            return ""
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _small_country(digits: str, home: str) -> str:
    """E.164 of a subscriber's number that is as short as a service's. Services of the same digits come first."""
    number = _parsed(digits, home) if home else None
    if number is None or not phonenumbers.is_valid_number_for_region(number, home):
        return ""
    if phonenumbers.is_valid_short_number_for_region(number, home):
        return ""
    national = phonenumbers.national_significant_number(number)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if _is_whole(national, home) else ""


def _is_whole(national: str, home: str) -> bool:
    """True in countries whose longest fixed-line numbers are as short as this one: 112 is no number of Germany."""
    metadata = PhoneMetadata.metadata_for_region(home)
    general = metadata.general_desc if metadata is not None else None
    fixed_line = metadata.fixed_line if metadata is not None else None
    lengths = general.possible_length if general is not None else ()
    fixed = (fixed_line.possible_length if fixed_line is not None else ()) or lengths
    return bool(fixed) and len(national) in fixed and max(fixed) <= MAX_SHORT_DIGITS + 1


def _is_short(digits: str, home: str) -> bool:
    """True for what has no international form: a service, or a number within one area."""
    if digits.startswith("+"):
        return False
    if len(digits) <= MAX_SHORT_DIGITS:
        return len(digits) > 1 and (not digits.startswith("0") or digits == _AUSTRALIAN_EMERGENCY)
    number = _parsed(digits, home) if home else None
    reason = phonenumbers.is_possible_number_with_reason(number) if number is not None else None
    return reason == ValidationResult.IS_POSSIBLE_LOCAL_ONLY


def _is_too_long(digits: str, home: str) -> bool:
    number = _parsed(digits, home)
    reason = phonenumbers.is_possible_number_with_reason(number) if number is not None else None
    return reason == ValidationResult.TOO_LONG


def _is_possible(number: PhoneNumber) -> bool:
    return phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE


def load_numbering_plans() -> None:
    """Read the plans of all countries, about 0.2 s of processor time. Done once, before a server takes requests.

    The library otherwise reads each country's file at its first number. If no file descriptor is free then, it keeps a
    lock that it never gives back, and the next number of another country waits forever.
    """
    PhoneMetadata.load_all()


def _parsed(digits: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None


def _trunk_prefix(country_code: int) -> str:
    region = phonenumbers.region_code_for_country_code(country_code)
    metadata = PhoneMetadata.metadata_for_region(region)
    return (metadata.national_prefix or "") if metadata is not None else ""


@lru_cache(maxsize=4096)
def _home_of(number: str) -> str:
    parsed = _parsed(number, None) if number.startswith("+") else None
    if parsed is None:
        return ""
    region = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(
        parsed.country_code or 0
    )
    return region if region in phonenumbers.SUPPORTED_REGIONS else ""


def _region_of_code(context: str) -> str:
    """The country of a phone context that is a country code and no more, such as +44."""
    code = re.sub(r"[^\d]", "", context)
    region = phonenumbers.region_code_for_country_code(int(code)) if len(code) <= 3 else ""
    return region if region in phonenumbers.SUPPORTED_REGIONS else ""
