"""Names of users as phone systems tell them."""

import pytest

from hookline.domain.users import split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("John Doe", ("John", "Doe")),
        ("  John \t Doe ", ("John", "Doe")),
        ("Doe, John", ("John", "Doe")),
        ("John Ronald Reuel Tolkien", ("John Ronald Reuel", "Tolkien")),
        ("Ludwig van Beethoven", ("Ludwig", "van Beethoven")),
        ("Ana de la Cruz", ("Ana", "de la Cruz")),
        ("john doe", ("john", "doe")),
        ("Madonna", ("Madonna", "")),
        ("山田太郎", ("山田太郎", "")),
        ("Doe,", ("Doe,", "")),
        ("", ("", "")),
        (None, ("", "")),
        (" , ", (",", "")),
        ("John\x00 Doe\u202e", ("John", "Doe")),
        ("J" * 300 + " " + "D" * 300, ("J" * 100, "D" * 100)),
    ],
)
def test_a_display_name_is_given_and_family_name(name: str | None, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts
