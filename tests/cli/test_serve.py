"""`hookline serve`: how it starts, how it stops, and what it says when it cannot."""

import re
import signal
import socket

import pytest

from hookline.cli.asking import ask
from tests.cli import spoilt
from tests.cli.commands import Hookline, is_listening

pytestmark = pytest.mark.slow

ANY_PORT = "127.0.0.1:0"
KEY = "a-key-of-the-tests"


def url_in(said: str) -> str:
    """Where it says that it listens."""
    found = re.search(r"listens on (http://\S+)", said)
    assert found is not None, said
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_to_and_counts_that_as_success(hookline: Hookline, number: signal.Signals) -> None:
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        url = url_in(server.says("listens on"))
        assert ask(url, None, "GET", "/readyz").value["status"] == "ready"
        server.tell(number)
        said = server.end()
    assert said.code == 0, said
    assert "Traceback" not in said.err
    assert not is_listening(url)


def test_the_first_key_is_shown_once_and_only_once(hookline: Hookline) -> None:
    said = []
    for _ in range(2):
        with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
            said.append(server.says("listens on"))
            server.tell(signal.SIGTERM)
            assert server.end().code == 0
    keys = re.findall(r"hl_\w+", said[0])
    assert len(keys) == 1
    assert "hl_" not in said[1]
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        url = url_in(server.says("listens on"))
        assert ask(url, keys[0], "GET", "/v3/webhooks").status == 200
        assert ask(url, keys[0][:-1], "GET", "/v3/webhooks").status == 401


def test_no_key_is_made_where_the_settings_have_one(hookline: Hookline) -> None:
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT, HOOKLINE_API_KEY=KEY) as server:
        said = server.says("listens on")
        assert ask(url_in(said), KEY, "GET", "/v3/webhooks").status == 200
    assert "hl_" not in said
    assert KEY not in said
    assert spoilt.count(hookline.database, "api_key") == 0


def test_a_start_that_fails_uses_up_no_first_key(hookline: Hookline) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "hl_" not in hookline("serve", HOOKLINE_LISTEN=listen).refusal()
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        assert "hl_" in server.says("listens on")


def test_a_port_in_use_stops_the_start_in_a_sentence(hookline: Hookline) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = hookline("serve", HOOKLINE_LISTEN=f"127.0.0.1:{port}").refusal()
    assert sentence == f"HOOKLINE_LISTEN: cannot listen on 127.0.0.1 port {port}: Address already in use.\n"


def test_a_second_server_on_the_same_file_is_refused_and_the_first_goes_on(hookline: Hookline) -> None:
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT, HOOKLINE_API_KEY=KEY) as server:
        url = url_in(server.says("listens on"))
        sentence = hookline("serve", HOOKLINE_LISTEN=ANY_PORT).refusal()
        assert f"Another server delivers from {hookline.database} already." in sentence
        assert ask(url, None, "GET", "/readyz").status == 200
        server.tell(signal.SIGTERM)
        assert server.end().code == 0
    assert spoilt.count(hookline.database, "api_key") == 0


def test_a_second_server_is_refused_through_a_symbolic_link_too(hookline: Hookline) -> None:
    link = hookline.folder / "link.db"
    link.symlink_to(hookline.database)
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT, HOOKLINE_DATABASE=f"sqlite:///{link}") as server:
        server.says("listens on")
        assert {mode & 0o077 for mode in modes(hookline)} == {0}
        assert hookline.files() == {"link.db", *(f"hookline.db{end}" for end in ("", "-wal", "-shm", ".lock"))}
        assert "Another server delivers from" in hookline("serve", HOOKLINE_LISTEN=ANY_PORT).refusal()
        server.tell(signal.SIGTERM)
        said = server.end()
    assert "checkpoint_failed" not in said.err


def modes(hookline: Hookline) -> list[int]:
    """The modes of all files in the folder, links followed."""
    return [(hookline.folder / name).stat().st_mode for name in hookline.files()]


def test_a_database_without_the_log_that_it_had_stops_the_start_until_told_to_go_on(hookline: Hookline) -> None:
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        server.says("listens on")
        server.tell(signal.SIGKILL)
        server.end()
    (hookline.folder / "hookline.db-wal").unlink()
    for _ in range(2):
        assert "its log hookline.db-wal is missing" in hookline("serve", HOOKLINE_LISTEN=ANY_PORT).refusal()
    assert hookline("migrate", "--without-log").code == 0
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        server.says("listens on")


def test_after_a_kill_a_command_may_come_first(hookline: Hookline) -> None:
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        server.says("listens on")
        server.tell(signal.SIGKILL)
        server.end()
    assert hookline("keys", "create", "--name", "crm", "--scope", "read").code == 0
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        server.says("listens on")


def test_a_directory_stops_the_start_and_every_other_command_in_a_sentence(hookline: Hookline) -> None:
    where = {"HOOKLINE_DATABASE": f"sqlite:///{hookline.folder}"}
    for words in (("serve",), ("migrate",), ("backup", "copy.db"), ("keys", "list")):
        assert "it is a directory" in hookline(*words, **where).refusal()


def test_a_server_that_was_killed_keeps_nobody_from_the_file(hookline: Hookline) -> None:
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        server.says("listens on")
        server.tell(signal.SIGKILL)
        server.end()
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT) as server:
        server.says("listens on")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOOKLINE_LISTEN", "everywhere"),
        ("HOOKLINE_LISTEN", "999.1.1.1:80"),
        ("HOOKLINE_LISTEN", "192.0.2.1:8000"),
        ("HOOKLINE_DATABASE", "postgres"),
        ("HOOKLINE_API_KEY", "with spaces"),
        ("HOOKLINE_PUBLIC_URL", "example.com"),
        ("HOOKLINE_ALLOW_NETWORKS", "home"),
        ("HOOKLINE_MAX_WEBHOOKS", "0"),
        ("HOOKLINE_RETENTION_DAYS", "ever"),
        ("HOOKLINE_ROLES", "web"),
        ("HOOKLINE_ROLES", "api"),  # on SQLite
        ("HOOKLINE_CONFIG", "missing.toml"),
    ],
)
def test_a_wrong_setting_stops_the_start_in_a_sentence_that_names_it(hookline: Hookline, name: str, text: str) -> None:
    assert hookline("serve", **{name: text}).refusal().startswith(f"{name}: ")


def test_the_option_for_roles_goes_before_the_setting(hookline: Hookline) -> None:
    assert "'web'" in hookline("serve", "--roles", "web", HOOKLINE_ROLES="api,deliver,timers").refusal()
    every = "timers,deliver,api"
    with hookline.started("serve", "--roles", every, HOOKLINE_LISTEN=ANY_PORT, HOOKLINE_ROLES="web") as server:
        server.says("listens on")


def test_a_setting_that_nobody_knows_is_warned_of(hookline: Hookline) -> None:
    with hookline.started("serve", HOOKLINE_LISTEN=ANY_PORT, HOOKLINE_RETENTON_DAYS="1") as server:
        server.says("listens on")
        server.tell(signal.SIGTERM)
        assert "HOOKLINE_RETENTON_DAYS" in server.end().err


def test_a_file_that_is_no_database_stops_the_start_and_is_left_as_it_is(hookline: Hookline) -> None:
    content = spoilt.garbage(hookline.database)
    sentences = hookline("serve", HOOKLINE_LISTEN=ANY_PORT).refusal()
    assert "not a database" in sentences
    assert "hookline doctor" in sentences
    assert hookline.database.read_bytes() == content


def test_a_database_of_a_later_version_stops_the_start_and_is_left_as_it_is(hookline: Hookline) -> None:
    hookline("migrate")
    spoilt.of_schema(hookline.database, 99)
    assert "schema 99" in hookline("serve", HOOKLINE_LISTEN=ANY_PORT).refusal()
    assert spoilt.schema_of(hookline.database) == 99
