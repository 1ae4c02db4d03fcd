"""Forms, as some phone systems post them. Nothing here knows a phone system."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, parse_qsl

from hookline.errors import Invalid

#: More fields than any phone system sends.
_MOST_FIELDS = 200


def read_form(body: bytes) -> list[tuple[str, str]]:
    """The fields of an `application/x-www-form-urlencoded` body, or of a query, in their order.

    Raises:
        Invalid: it is none.
    """
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise Invalid("The body is no form.", code="bad_request") from None


def fields_of_query(query: str) -> dict[str, list[str]]:
    """The values of each field of a query, in their order.

    Raises:
        Invalid: there are more fields than any phone system sends.
    """
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Invalid(f"The query has more than {_MOST_FIELDS} fields.", code="bad_request") from None


def seconds_in(form: Mapping[str, str], field: str) -> int:
    """Whole seconds in a field; 0 when it is empty or not there.

    Raises:
        Invalid: there is something else.
    """
    text = form.get(field) or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Invalid.field(field, f"expected whole seconds, got {text[:20]!r}.")
    return int(text)


def mail_date(text: str, field: str) -> datetime:
    """An instant such as `Tue, 10 Jun 2025 07:09:01 +0000`: RFC 5322, section 3.3.

    Raises:
        Invalid: it is none.
    """
    try:
        told = parsedate_to_datetime(text)
        return (told if told.tzinfo is not None else told.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise Invalid.field(
            field, f"expected a time such as 'Tue, 10 Jun 2025 07:09:01 +0000', got {text[:40]!r}."
        ) from None
