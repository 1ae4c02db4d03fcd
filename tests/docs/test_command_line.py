"""docs/reference/command-line.md tells every command, argument and option, and no other."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from hookline.cli.app import command_line
from tests.docs import pages

PAGE = pages.page("reference/command-line.md")


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, under the words by which it is called."""
    below = getattr(command, "commands", {})
    if not below:
        yield path, command
    for name, each in below.items():
        yield from commands(each, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(command_line()), "hookline"))


def said(parameter: Any) -> str:
    """How a page writes an argument or an option."""
    return str(
        parameter.opts[-1] if parameter.param_type_name == "option" else parameter.metavar or parameter.name.upper()
    )


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_is_on_the_page_with_all_that_it_takes(path: str) -> None:
    text = pages.section(PAGE, f"`{path}`")
    told = {pages.plain(row[0]) for row in pages.rows(text)[1:]}
    taken = {said(parameter) for parameter in COMMANDS[path].params} - {"--help"}
    assert taken == told - {"option", "argument", "argument or option"}


def test_no_command_on_any_page_is_made_up() -> None:
    groups = {path.split()[1] for path in COMMANDS if len(path.split()) > 2}
    for page in pages.PAGES:
        text = page.read_text("utf-8")
        code = "\n".join([*re.findall(r"`([^`\n]+)`", pages.prose(text)), *(each.code for each in pages.blocks(text))])
        for first, second in re.findall(r"(?:^|[ /])hookline ([a-z]+)(?: ([a-z]+))?", code, re.MULTILINE):
            path = f"hookline {first} {second}" if first in groups else f"hookline {first}"
            assert path in COMMANDS, f"{page.name}: {path}"


def test_no_heading_of_the_page_is_made_up() -> None:
    told = re.findall(r"^## `(.+)`$", PAGE, re.MULTILINE)
    assert len(told) == len(COMMANDS)
    assert set(told) == set(COMMANDS)


def test_the_options_of_the_program_itself_are_on_the_page() -> None:
    root = typer.main.get_command(command_line())
    told = {pages.plain(row[0]) for row in pages.table(PAGE[: PAGE.index("## `hookline serve`")], "option", "meaning")}
    assert told == {said(parameter) for parameter in root.params} - {"--help"}
