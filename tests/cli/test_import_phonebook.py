"""`hookline import lines` and `users`: every row is looked at first, what is there already is changed, and it can
be done again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookline.cli.asking import ask
from tests.api.door import ADMIN, serving
from tests.cli.commands import Hookline

pytestmark = pytest.mark.slow

LINES = """number,name,ownerEmail,region
+44 1400 800008,Reception,anna@example.com,
01400 800009,"Sales, all",,gb
"""
USERS = """email;givenName;familyName;extension;channelPrefixes;outboundLine;providerIds
anna@example.com;Anna;Doe;101;PJSIP/101- PJSIP/anna-;0044 1400 800008;client:anna
bo@example.com;Bo;;102;;;
"""


class Office(Hookline):
    """The command line beside a server that knows no line and no user yet."""

    def file(self, text: str, name: str = "file.csv") -> str:
        (self.folder / name).write_text(text, "utf-8")
        return name

    def there(self, path: str) -> list[dict[str, Any]]:
        """What the server has, without what it adds itself."""
        own = {"id", "createdAt", "modifiedAt"}
        value = ask(self.server_url, ADMIN, "GET", path).fine()
        [found] = [each for name, each in value.items() if name not in {"next", "unknownLines"}]
        return [{key: each[key] for key in each.keys() - own} for each in found]

    def lines(self) -> list[dict[str, Any]]:
        return self.there("/v3/phone-lines")

    def users(self) -> list[dict[str, Any]]:
        return self.there("/v3/users")

    def extensions(self) -> dict[str, str]:
        return {user["email"]: user["phone"]["extension"] for user in self.users()}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with serving(tmp_path) as url:
        yield Office(tmp_path, HOOKLINE_LISTEN=url.removeprefix("http://"), HOOKLINE_API_KEY=ADMIN)


def test_lines_are_made_and_changed_and_doing_it_again_changes_nothing(office: Office) -> None:
    said = office("import", "lines", office.file(LINES))
    assert (said.code, said.out, said.err) == (0, "2 lines: 2 new.\n", "")
    reception = {"number": "+441400800008", "name": "Reception", "ownerEmail": "anna@example.com", "region": ""}
    assert office.lines() == [
        reception,
        {"number": "+441400800009", "name": "Sales, all", "ownerEmail": "", "region": "GB"},
    ]
    again = office("import", "lines", "file.csv", "--json")
    assert again.value == {"file": "file.csv", "lines": 2, "new": 0, "changed": 0, "unchanged": 2}
    said = office("import", "lines", office.file("name,number\nFront desk,+441400800008\nNew,+441400800010\n"))
    assert said.out == "2 lines: 1 new, 1 changed.\n"
    assert office.lines()[0] == {**reception, "name": "Front desk"}
    assert len(office.lines()) == 3


def test_users_are_made_completed_and_changed(office: Office) -> None:
    office("import", "lines", office.file(LINES))
    assert [user["email"] for user in office.users()] == ["anna@example.com"]
    said = office("import", "users", office.file(USERS))
    assert (said.code, said.out, said.err) == (0, "2 users: 1 new, 1 changed.\n", "")
    assert office.users()[0] == {
        "email": "anna@example.com",
        "givenName": "Anna",
        "familyName": "Doe",
        "phone": {
            "extension": "101",
            "channelPrefixes": ["PJSIP/101-", "PJSIP/anna-"],
            "outboundLine": "+441400800008",
            "providerIds": ["client:anna"],
        },
    }
    said = office("import", "users", "file.csv", "--json")
    assert said.value == {"file": "file.csv", "users": 2, "new": 0, "changed": 0, "unchanged": 2}


def test_a_column_that_is_not_in_the_file_stays_and_an_empty_cell_empties(office: Office) -> None:
    office("import", "users", office.file(USERS))
    said = office("import", "users", office.file("email,providerIds\nANNA@example.com,\n"))
    assert said.out == "1 user: 1 changed.\n"
    anna = office.users()[0]
    assert (anna["email"], anna["givenName"], anna["phone"]["extension"]) == ("ANNA@example.com", "Anna", "101")
    assert anna["phone"]["providerIds"] == []


def test_two_users_swap_their_extensions(office: Office) -> None:
    office("import", "users", office.file(USERS))
    said = office("import", "users", office.file("email,extension\nanna@example.com,102\nbo@example.com,101\n"))
    assert (said.code, said.out) == (0, "2 users: 2 changed.\n")
    assert office.extensions() == {"anna@example.com": "102", "bo@example.com": "101"}


def test_what_tells_another_users_phone_is_refused_before_anything_is_changed(office: Office) -> None:
    office("import", "users", office.file(USERS))
    rows = "email,extension\nfirst@example.com,103\nanna@example.com,102\nsecond@example.com,103\n"
    refusal = office("import", "users", office.file(rows)).refusal()
    assert refusal.splitlines() == [
        "file.csv: 2 rows cannot be taken, so nothing was changed.",
        "line 3: extension: 102 is that of bo@example.com already.",
        "line 4: extension: 103 is that of first@example.com already.",
    ]
    assert office.extensions() == {"anna@example.com": "101", "bo@example.com": "102"}


def test_every_bad_row_is_named_by_its_line_and_none_is_taken(office: Office) -> None:
    rows = (
        'number,name,ownerEmail,region\n+441400800008,Good,,\n\n101,"Two\nlines",,\n+441400800010,,,\n'
        "+441400800011,Owner,nobody,\n+441400800012,Region,,Narnia\n+441400800013,short\n"
    )
    refusal = office("import", "lines", office.file(rows)).refusal().splitlines()
    assert refusal[0] == "file.csv: 5 rows cannot be taken, so nothing was changed."
    assert [line.partition(": ")[0] for line in refusal[1:]] == [f"line {place}" for place in (4, 6, 7, 8, 9)]
    fields = [line.split(": ")[1] for line in refusal[1:5]]
    assert fields == ["number", "name", "ownerEmail", "region"]
    assert refusal[5] == "line 9: expected 4 columns, got 2."
    assert office.lines() == []
    assert office.users() == []


def test_a_number_that_stands_there_twice_in_two_spellings_is_refused(office: Office) -> None:
    refusal = office("import", "lines", office.file("number,name\n+441400800008,A\n0044 1400 800008,B\n")).refusal()
    assert "line 3: number: +441400800008 stands in line 2 already." in refusal
    refusal = office("import", "users", office.file("email\nanna@example.com\nAnna@Example.com\n")).refusal()
    assert "line 3: email: anna@example.com stands in line 2 already." in refusal


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the column 'number' is needed"),
        ("number\n+441400800008\n", "the column 'name' is needed"),
        ("number,name,colour\n", "there is no column 'colour'"),
        ("number,name,name\n", "the column 'name' is there twice"),
        ('number,name\n+441400800008,"open\n', "line 2: unexpected end of data."),
    ],
)
def test_a_file_that_is_no_list_of_lines_is_refused(hookline: Hookline, text: str, told: str) -> None:
    (hookline.folder / "file.csv").write_text(text, "utf-8")
    assert told in hookline("import", "lines", "file.csv", HOOKLINE_API_KEY="some-key-or-other").refusal()


def test_a_file_in_another_encoding_is_refused_in_a_sentence(hookline: Hookline) -> None:
    (hookline.folder / "file.csv").write_bytes("email,givenName\na@example.com,Jürgen\n".encode("latin-1"))
    assert "it is not UTF-8" in hookline("import", "users", "file.csv", HOOKLINE_API_KEY="a-key-of-the-tests").refusal()


def test_a_file_of_no_rows_is_no_failure_and_a_byte_order_mark_no_column(office: Office) -> None:
    said = office("import", "users", office.file("\ufeffemail\r\n"))
    assert (said.code, said.out) == (0, "0 users: none in it.\n")


def test_without_a_file_a_key_or_a_server_it_is_told_what_to_do(hookline: Hookline) -> None:
    hookline("import", "lines", "none.csv").refusal(2)
    (hookline.folder / "file.csv").write_text(LINES, "utf-8")
    assert "HOOKLINE_API_KEY" in hookline("import", "lines", "file.csv").refusal()
    refusal = hookline("import", "lines", "file.csv", "--api-key", "some-key-or-other").refusal()
    assert "hookline serve" in refusal
