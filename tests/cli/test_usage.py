"""The command line as such: the version, the help, and the codes with which it exits."""

import subprocess
import sys
from pathlib import Path

import pytest

from hookline import __version__
from hookline.settings import ALL
from tests.cli.commands import Hookline

pytestmark = pytest.mark.slow

COMMANDS = [
    "serve",
    "demo",
    "trigger",
    "replay",
    "erase",
    "doctor",
    "backup",
    "copy",
    "migrate",
    "connect",
    "connect asterisk",
    "connect freeswitch",
    "import",
    "import lines",
    "import users",
    "keys",
    "keys create",
    "keys list",
    "keys remove",
]


def test_the_version_is_that_of_the_package(hookline: Hookline) -> None:
    assert hookline("--version").out == f"hookline {__version__}\n"


@pytest.mark.parametrize("words", [["--version"], ["erase", "--help"]])
def test_a_command_that_runs_no_server_does_not_load_one(words: list[str]) -> None:
    asks = (
        f"import sys; sys.argv[1:] = {words!r}; from hookline.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    sys.exit('hookline.bootstrap' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", asks], check=False, capture_output=True).returncode == 0


def test_the_installed_command_is_the_same_as_the_module() -> None:
    command = Path(sys.executable).with_name("hookline")
    said = subprocess.run([command, "--version"], capture_output=True, check=True)
    assert said.stdout.decode() == f"hookline {__version__}\n"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_terminal_of_80_columns_and_cuts_no_sentence(hookline: Hookline, command: str) -> None:
    said = hookline(*command.split(), "--help")
    assert (said.code, said.err) == (0, "")
    assert [line for line in said.out.splitlines() if len(line) > 80] == []
    assert not any(line.endswith("...") for line in said.out.splitlines() if "Usage" not in line)


def test_help_names_every_command(hookline: Hookline) -> None:
    out = hookline("--help").out
    assert [each for each in COMMANDS if " " not in each and f"\n  {each} " not in out] == []


def test_help_of_the_server_names_every_setting(hookline: Hookline) -> None:
    out = hookline("serve", "--help").out
    assert [setting.name for setting in ALL if setting.name not in out] == []


@pytest.mark.parametrize(
    "words",
    [
        "frobnicate",
        "--frobnicate",
        "serve now",
        "serve --port 80",
        "demo again",
        "trigger",
        "trigger meetingForgotten",
        "trigger meetingBooked --to nowhere",
        "trigger meetingBooked --to http://93.184.216.34/ --secret short",
        "trigger meetingBooked --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "replay",
        "replay 1",
        "replay 1 --since 2025-06-10T09:00:00Z",
        "replay 1 --since 2025-06-10T09:00:00Z --only dead",
        "replay one --since 2025-06-10T09:00:00Z --only all",
        "replay 0 --since 2025-06-10T09:00:00Z --only all",
        "replay 1 --since yesterday --only all",
        "replay 1 --since 2025-06-10T09:00:00 --only all",
        "replay 1 --since 2025-06-10T09:00:00Z --until never --only all",
        "backup",
        "backup one two",
        "migrate twice",
        "import",
        "import lines",
        "import users nowhere.csv",
        "keys frobnicate",
        "keys create",
        "keys create --name telephones",
        "keys create --name telephones --scope everything",
        "keys remove",
        "doctor please",
    ],
)
def test_who_calls_it_wrongly_is_told_so_with_code_2(hookline: Hookline, words: str) -> None:
    hookline(*words.split()).refusal(2)
    assert hookline.files() == set()


@pytest.mark.parametrize("words", ["migrate", "keys list", "backup copy.db", "trigger meetingBooked", "serve"])
def test_a_wrong_setting_stops_every_command_in_a_sentence(hookline: Hookline, words: str) -> None:
    said = hookline(*words.split(), HOOKLINE_RETENTION_DAYS="5,x")
    assert said.refusal() == "HOOKLINE_RETENTION_DAYS: expected a whole number from 1 to 3650, got '5,x'.\n"
    assert hookline.files() == set()
