"""Names of users, as phone systems tell them."""

from typing import Final

#: Characters of a given or a family name that are kept of a name that a phone system tells.
MAX_TOLD_NAME: Final = 100


def told_name(name: str | None) -> str:
    """A name as it can be kept: one line, without characters that cannot be shown, at most `MAX_TOLD_NAME` long."""
    shown = "".join(each if each.isprintable() else " " for each in name or "")
    return " ".join(shown.split())[:MAX_TOLD_NAME].rstrip()


def split_name(name: str | None) -> tuple[str, str]:
    """Given and family name of a display name, for systems that tell only that.

    `Doe, John` is cut at its comma. Of other names the last word is the family name, with the words in small letters
    before it: `Ludwig van Beethoven` is `Ludwig` and `van Beethoven`. A single word is a given name.
    """
    family, comma, given = (name or "").partition(",")
    if comma and family.strip() and given.strip():
        return told_name(given), told_name(family)
    words = (name or "").split()
    first = max(len(words) - 1, 1)
    while first > 1 and words[first - 1].islower():
        first -= 1
    return told_name(" ".join(words[:first])), told_name(" ".join(words[first:]))
