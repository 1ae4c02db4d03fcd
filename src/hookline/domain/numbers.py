"""Telephone numbers: every spelling becomes E.164, or is none. Which of them are lines of ours: `phonebook.py`."""

import phonenumbers


def e164(spelling: str, region: str = "") -> str:
    """E.164 of a number in any spelling that has its country code, or is at home in `region`; "" of what is none.

    Possible numbers are enough: numbering plans change faster than their tables.
    """
    text = spelling.strip()
    if text.startswith("00"):  # ITU-T E.123: the prefix to dial abroad from most countries
        text = "+" + text[2:]
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return ""
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if possible else ""
