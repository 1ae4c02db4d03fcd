"""Names of users, as phone systems tell them."""


def split_name(name: str) -> tuple[str, str]:
    """Given and family name of a display name, for systems that tell only that.

    `Doe, John` is cut at its comma. Of other names the last word is the family name, with the words in small letters
    before it: `Ludwig van Beethoven` is `Ludwig` and `van Beethoven`. A single word is a given name.
    """
    family, comma, given = name.partition(",")
    if comma and family.strip() and given.strip():
        return " ".join(given.split()), " ".join(family.split())
    words = name.split()
    if len(words) <= 1:
        return name.strip(), ""
    first = len(words) - 1
    while first > 1 and words[first - 1].islower():
        first -= 1
    return " ".join(words[:first]), " ".join(words[first:])
