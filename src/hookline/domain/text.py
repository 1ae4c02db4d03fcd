"""Rules that any text from outside must keep, and mail addresses."""

from functools import lru_cache
from typing import Any, Final

import email_validator

from hookline.domain.events import attributes_of
from hookline.errors import Invalid

# Companies do have hosts such as anna@office.local; that nobody can deliver there from outside is not our business.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

_MAX_EMAIL: Final = 254


def require_storable(value: Any, path: str = "") -> None:
    """Refuse NUL and lone surrogates anywhere in a payload: no database and no UTF-8 body can carry them."""
    if isinstance(value, str):
        require_storable_text(value, path)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            require_storable(item, f"{path}[{index}]")
    elif names := attributes_of(value.__class__):
        for name in names:
            require_storable(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, dict):
        for key, item in value.items():
            require_storable_text(key, path or "a key")
            require_storable(item, f"{path}.{key}" if path else key)


def require_storable_text(text: str, field: str) -> None:
    """Refuse NUL and lone surrogates in one text."""
    if "\0" in text:
        raise Invalid.field(field, "holds a NUL character, which no text may.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid.field(field, "holds half of a surrogate pair, which is no character.")


def same_address(one: str, other: str) -> bool:
    """Whether two mail addresses name the same person here: users and participants are found in any case."""
    return one.lower() == other.lower()


@lru_cache(maxsize=4096)
def _email_problem(address: str) -> str | None:
    try:
        email_validator.validate_email(address, check_deliverability=False, globally_deliverable=False)
    except email_validator.EmailNotValidError as problem:
        return str(problem)
    return None


def require_email(address: str, field: str) -> None:
    """Refuse what is no mail address (RFC 5321 and 6531; nothing is looked up)."""
    if not address:
        raise Invalid.field(field, "expected a mail address, got nothing.")
    problem = "It is too long." if len(address) > _MAX_EMAIL else _email_problem(address)
    if problem is not None:
        raise Invalid.field(field, f"expected a mail address, got {address[:60]!r}. {problem}")
