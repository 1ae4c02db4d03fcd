"""Settings: what each takes, what stops the start, and the sentence with which it does."""

from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from hookline.settings import (
    ALL,
    ALL_ROLES,
    PostgresUrl,
    Role,
    Settings,
    WrongSetting,
    load_settings,
    strangers,
)


def refusal(environment: dict[str, str]) -> str:
    """The sentence with which these settings are refused."""
    with pytest.raises(WrongSetting) as refused:
        load_settings(environment)
    return str(refused.value)


def opens(settings: Settings, *addresses: str) -> list[bool]:
    """Which of these addresses deliveries may reach."""
    return [settings.allowed_networks.reason(ip_address(address)) is None for address in addresses]


def all_but_networks(settings: Settings) -> dict[str, Any]:
    """The settings that can be compared."""
    return {name: value for name, value in asdict(settings).items() if name != "allowed_networks"}


def toml(folder: Path, text: str) -> dict[str, str]:
    """An environment that names a file with this text."""
    file = folder / "hookline.toml"
    file.write_text(text, "utf-8")
    return {"HOOKLINE_CONFIG": str(file)}


def test_without_settings_the_defaults_hold() -> None:
    settings = load_settings({})
    assert settings.database == Path("hookline.db")
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.public_url == settings.base_url == "http://127.0.0.1:8000"
    assert settings.api_key is None
    assert opens(settings, "127.0.0.1", "10.0.0.1", "::1", "1.1.1.1") == [False, False, False, True]
    assert (settings.max_webhooks, settings.retention_days) == (40, 30)


def test_every_default_that_is_written_down_is_the_one_that_holds() -> None:
    written = load_settings({setting.name: setting.default for setting in ALL})
    assert all_but_networks(written) == all_but_networks(load_settings({}))
    assert opens(written, "127.0.0.1", "10.0.0.1", "::1") == [False, False, False]


POSTGRES = "postgresql://me:secret@db.example/hookline"
GOOD = [
    ("HOOKLINE_DATABASE", "sqlite:///a/b.db", "database", Path("a/b.db")),
    ("HOOKLINE_DATABASE", "sqlite:////var/lib/hookline.db", "database", Path("/var/lib/hookline.db")),
    ("HOOKLINE_DATABASE", "sqlite:///with%20space.db", "database", Path("with space.db")),
    ("HOOKLINE_DATABASE", "postgresql://me:secret@db.example/hookline", "database", PostgresUrl(POSTGRES)),
    ("HOOKLINE_LISTEN", "0.0.0.0:80", "host", "0.0.0.0"),
    ("HOOKLINE_LISTEN", "0.0.0.0:80", "port", 80),
    ("HOOKLINE_LISTEN", "localhost:0", "port", 0),
    ("HOOKLINE_LISTEN", "[::1]:8000", "host", "::1"),
    ("HOOKLINE_LISTEN", " 127.0.0.1:8001\n", "port", 8001),
    ("HOOKLINE_PUBLIC_URL", "https://hooks.example.com", "public_url", "https://hooks.example.com"),
    ("HOOKLINE_PUBLIC_URL", "https://example.com/hooks/", "public_url", "https://example.com/hooks"),
    ("HOOKLINE_API_KEY", "k" * 16, "api_key", "k" * 16),
    ("HOOKLINE_API_KEY", "", "api_key", None),
    ("HOOKLINE_MAX_WEBHOOKS", "1", "max_webhooks", 1),
    ("HOOKLINE_MAX_WEBHOOKS", "10000", "max_webhooks", 10_000),
    ("HOOKLINE_MAX_CONNECTIONS", "", "max_connections", None),
    ("HOOKLINE_MAX_CONNECTIONS", "60000", "max_connections", 60_000),
    ("HOOKLINE_RETENTION_DAYS", "3650", "retention_days", 3650),
    ("HOOKLINE_RETENTION_DAYS", "0007", "retention_days", 7),
    ("HOOKLINE_ROLES", "api,deliver,timers", "roles", ALL_ROLES),
    ("HOOKLINE_ROLES", " timers, deliver ,api\n", "roles", ALL_ROLES),
]


@pytest.mark.parametrize(("name", "text", "field", "value"), GOOD)
def test_a_good_value_is_taken(name: str, text: str, field: str, value: Any) -> None:
    assert getattr(load_settings({name: text}), field) == value


BAD = [
    ("HOOKLINE_DATABASE", ""),
    ("HOOKLINE_DATABASE", "hookline.db"),
    ("HOOKLINE_DATABASE", "sqlite:///"),
    ("HOOKLINE_DATABASE", "sqlite://hookline.db"),
    ("HOOKLINE_DATABASE", "mysql://root@localhost/hookline"),
    ("HOOKLINE_DATABASE", "postgresql://me:secret@db.example"),
    ("HOOKLINE_DATABASE", "postgresql://me:secret@db.example/hookline?colour=blue"),
    ("HOOKLINE_DATABASE", "postgresql://me:secret@[::1/hookline"),
    ("HOOKLINE_DATABASE", "psql://me:secret@db.example/hookline"),
    ("HOOKLINE_LISTEN", ""),
    ("HOOKLINE_LISTEN", "8000"),
    ("HOOKLINE_LISTEN", ":8000"),
    ("HOOKLINE_LISTEN", "127.0.0.1"),
    ("HOOKLINE_LISTEN", "127.0.0.1:"),
    ("HOOKLINE_LISTEN", "127.0.0.1:http"),
    ("HOOKLINE_LISTEN", "127.0.0.1:65536"),
    ("HOOKLINE_LISTEN", "127.0.0.1:-1"),
    ("HOOKLINE_LISTEN", "http://127.0.0.1:8000"),
    ("HOOKLINE_LISTEN", "127.0.0.1:8000/path"),
    ("HOOKLINE_LISTEN", "me@127.0.0.1:8000"),
    ("HOOKLINE_LISTEN", "[::1:8000"),
    ("HOOKLINE_PUBLIC_URL", "hooks.example.com"),
    ("HOOKLINE_PUBLIC_URL", "ftp://hooks.example.com"),
    ("HOOKLINE_PUBLIC_URL", "https://"),
    ("HOOKLINE_PUBLIC_URL", "https://[::1"),
    ("HOOKLINE_PUBLIC_URL", "https://example.com:port"),
    ("HOOKLINE_PUBLIC_URL", "https://hooks.example.com/?a=b"),
    ("HOOKLINE_PUBLIC_URL", "https://hooks.example.com/#a"),
    ("HOOKLINE_SMTP_URL", "http://mail.example"),
    ("HOOKLINE_SMTP_URL", "smtp://"),
    ("HOOKLINE_DATABASE", "sqlite:///:memory:"),
    ("HOOKLINE_DATABASE", "sqlite://:memory:"),
    ("HOOKLINE_DATABASE", "sqlite::memory:"),
    ("HOOKLINE_DATABASE", "sqlite://"),
    ("HOOKLINE_DATABASE", "sqlite:///%3Amemory%3A"),
    ("HOOKLINE_DATABASE", "sqlite:///hookline.db?mode=memory"),
    ("HOOKLINE_DATABASE", "sqlite:///hookline.db?mode=ro&timeout=5"),
    ("HOOKLINE_DATABASE", "sqlite:///hookline.db#here"),
    ("HOOKLINE_DATABASE", "sqlite:///file:hookline.db"),
    ("HOOKLINE_DATABASE", "sqlite:///file:hookline.db?mode=memory&cache=shared"),
    ("HOOKLINE_DATABASE", "sqlite:////var/lib/hookline/"),
    ("HOOKLINE_DATABASE", "sqlite:////"),
    ("HOOKLINE_DATABASE", "sqlite:///."),
    ("HOOKLINE_DATABASE", "sqlite:///data/.."),
    ("HOOKLINE_DATABASE", "sqlite:///hook%00line.db"),
    ("HOOKLINE_DATABASE", "sqlite:///hookline.db%0A"),
    ("HOOKLINE_DATABASE", "sqlite:///hookline%FF.db"),
    ("HOOKLINE_API_KEY", "fifteen-letters"),
    ("HOOKLINE_API_KEY", "a key with spaces"),
    ("HOOKLINE_API_KEY", "schlüssel"),
    ("HOOKLINE_API_KEY", "a-tab\tinside"),
    ("HOOKLINE_ALLOW_NETWORKS", "10.0.0.0/33"),
    ("HOOKLINE_ALLOW_NETWORKS", "example.com"),
    ("HOOKLINE_ALLOW_NETWORKS", "127.0.0.0/8;10.0.0.0/8"),
    ("HOOKLINE_MAX_CONNECTIONS", "0"),
    ("HOOKLINE_MAX_CONNECTIONS", "60001"),
    ("HOOKLINE_MAX_CONNECTIONS", "many"),
    ("HOOKLINE_MAX_WEBHOOKS", ""),
    ("HOOKLINE_MAX_WEBHOOKS", "0"),
    ("HOOKLINE_MAX_WEBHOOKS", "10001"),
    ("HOOKLINE_MAX_WEBHOOKS", "4e1"),
    ("HOOKLINE_MAX_WEBHOOKS", "-4"),
    ("HOOKLINE_MAX_WEBHOOKS", "many"),
    ("HOOKLINE_MAX_WEBHOOKS", "00000000199999"),
    ("HOOKLINE_MAX_WEBHOOKS", "9" * 5000),
    ("HOOKLINE_ROLES", ""),
    ("HOOKLINE_ROLES", "API"),
    ("HOOKLINE_ROLES", "api;deliver;timers"),
    ("HOOKLINE_ROLES", "api,deliver,timers,"),
    ("HOOKLINE_ROLES", "api,deliver,timers,all"),
    ("HOOKLINE_RETENTION_DAYS", "0"),
    ("HOOKLINE_RETENTION_DAYS", "3651"),
    ("HOOKLINE_RETENTION_DAYS", "30.0"),
    ("HOOKLINE_RETENTION_DAYS", "٣٠"),
    ("HOOKLINE_RETENTION_DAYS", "5,x"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_refused_in_a_sentence_that_names_its_setting(name: str, text: str) -> None:
    sentence = refusal({name: text})
    assert sentence.startswith(f"{name}: ")
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("api", {Role.API}),
        ("deliver", {Role.DELIVER}),
        ("timers,deliver", {Role.DELIVER, Role.TIMERS}),
    ],
)
def test_nodes_that_share_a_database_may_have_some_roles(text: str, roles: set[Role]) -> None:
    shared = {"HOOKLINE_DATABASE": "postgresql://db.example/hookline"}
    assert load_settings({**shared, "HOOKLINE_ROLES": text}).roles == roles
    assert load_settings(shared).roles == ALL_ROLES


def test_the_one_process_of_a_sqlite_file_has_all_roles_and_is_told_why() -> None:
    assert refusal({"HOOKLINE_ROLES": "api,timers"}) == (
        "HOOKLINE_ROLES: expected api,deliver,timers, got 'api,timers': one process alone serves a SQLite file, so"
        " nobody else would do the rest. Nodes share their work over PostgreSQL."
    )


def test_a_role_that_nobody_knows_is_refused_with_those_there_are() -> None:
    assert refusal({"HOOKLINE_ROLES": "web"}) == (
        "HOOKLINE_ROLES: expected one or more of api, deliver, timers, with commas between them, got 'web'."
    )


def test_every_setting_can_be_refused() -> None:
    assert {name for name, _ in BAD} == {setting.name for setting in ALL}


def test_a_refused_key_is_not_repeated() -> None:
    assert "spaces" not in refusal({"HOOKLINE_API_KEY": "a key with spaces"})
    assert "fifteen" not in refusal({"HOOKLINE_API_KEY": "fifteen-letters"})


@pytest.mark.parametrize("url", [text for name, text in BAD if name == "HOOKLINE_DATABASE" and "memory" in text])
def test_a_database_in_memory_is_refused_because_it_would_be_lost(url: str) -> None:
    assert "what is kept in memory is lost" in refusal({"HOOKLINE_DATABASE": url})


@pytest.mark.parametrize("text", [text for name, text in BAD if name == "HOOKLINE_DATABASE" and "secret" in text])
def test_a_password_is_not_repeated(text: str) -> None:
    assert "secret" not in refusal({"HOOKLINE_DATABASE": text})
    assert "secret" not in repr(load_settings({"HOOKLINE_DATABASE": POSTGRES}))


def test_a_number_out_of_range_is_told_the_range() -> None:
    sentence = refusal({"HOOKLINE_RETENTION_DAYS": "5,x"})
    assert sentence == "HOOKLINE_RETENTION_DAYS: expected a whole number from 1 to 3650, got '5,x'."


def test_networks_may_be_several_with_spaces_between() -> None:
    settings = load_settings({"HOOKLINE_ALLOW_NETWORKS": "127.0.0.0/8, 10.2.0.0/16 ,fd00::/8"})
    assert opens(settings, "127.0.0.1", "10.2.3.4", "fd00::1") == [True, True, True]
    assert opens(settings, "10.3.0.1", "192.168.0.1", "::1") == [False, False, False]


@pytest.mark.parametrize(
    ("listen", "reached_at"),
    [
        ("0.0.0.0:8000", "http://127.0.0.1:8000"),
        ("[::]:8000", "http://[::1]:8000"),
        ("[fd00::1]:80", "http://[fd00::1]:80"),
        ("localhost:8000", "http://localhost:8000"),
    ],
)
def test_this_machine_reaches_a_server_wherever_it_listens(listen: str, reached_at: str) -> None:
    assert load_settings({"HOOKLINE_LISTEN": listen}).base_url == reached_at


def test_links_lead_to_the_address_unless_told_otherwise() -> None:
    assert load_settings({"HOOKLINE_LISTEN": "[::1]:8001"}).public_url == "http://[::1]:8001"


def test_a_file_has_the_same_names_as_the_environment(tmp_path: Path) -> None:
    environment = toml(tmp_path, 'HOOKLINE_LISTEN = "127.0.0.1:9"\nHOOKLINE_MAX_WEBHOOKS = 7\n')
    settings = load_settings(environment)
    assert (settings.port, settings.max_webhooks, settings.retention_days) == (9, 7, 30)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    environment = toml(tmp_path, "HOOKLINE_MAX_WEBHOOKS = 7\nHOOKLINE_RETENTION_DAYS = 8\n")
    settings = load_settings({**environment, "HOOKLINE_MAX_WEBHOOKS": "9"})
    assert (settings.max_webhooks, settings.retention_days) == (9, 8)


def test_a_bad_value_in_a_file_is_refused_as_one_in_the_environment(tmp_path: Path) -> None:
    assert refusal(toml(tmp_path, "HOOKLINE_MAX_WEBHOOKS = 0\n")).startswith("HOOKLINE_MAX_WEBHOOKS: expected")


@pytest.mark.parametrize("value", ["true", "1.5", "[1]", "{a = 1}", "2026-01-05"])
def test_a_file_holds_texts_and_whole_numbers_only(tmp_path: Path, value: str) -> None:
    sentence = refusal(toml(tmp_path, f"HOOKLINE_MAX_WEBHOOKS = {value}\n"))
    assert sentence.startswith("HOOKLINE_MAX_WEBHOOKS: expected text or a whole number in ")


def test_a_name_in_a_file_that_nobody_knows_is_refused_with_those_there_are(tmp_path: Path) -> None:
    sentence = refusal(toml(tmp_path, "HOOKLINE_MAX_WEBHOOK = 7\n"))
    assert sentence.startswith("HOOKLINE_MAX_WEBHOOK: there is no such setting.")
    assert all(setting.name in sentence for setting in ALL)


@pytest.mark.parametrize("content", [b"HOOKLINE_MAX_WEBHOOKS = \n", b"\xff\xfe\x00", b"HOOKLINE_LISTEN"])
def test_a_file_that_is_no_toml_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "hookline.toml"
    file.write_bytes(content)
    assert refusal({"HOOKLINE_CONFIG": str(file)}).startswith(f"HOOKLINE_CONFIG: cannot read {file}: ")


def test_a_file_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.toml", tmp_path):
        assert refusal({"HOOKLINE_CONFIG": str(missing)}).startswith(f"HOOKLINE_CONFIG: cannot read {missing}: ")


def test_an_empty_name_of_a_file_is_none() -> None:
    assert load_settings({"HOOKLINE_CONFIG": ""}).max_webhooks == 40


def test_names_that_look_like_ours_and_are_none_are_known_as_strangers() -> None:
    environment = {"HOOKLINE_RETENTON_DAYS": "1", "HOOKLINE_A": "", "PATH": "/bin", "HOOKLINE_CONFIG": "x"}
    assert strangers(environment | {setting.name: "" for setting in ALL}) == ["HOOKLINE_A", "HOOKLINE_RETENTON_DAYS"]


def test_a_stranger_in_the_environment_stops_nothing() -> None:
    assert load_settings({"HOOKLINE_RETENTON_DAYS": "1"}).retention_days == 30


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hookline:S3@cr3t@db.example/hookline",
        "postgresql://hookline:S3/cr3t@db.example/hookline",
        "postgresql://hookline:S3?cr3t@db.example/hookline",
        "postgresql://hookline:S3#cr3t@db.example/hookline",
        "host=db.example password=S3cr3t dbname=hookline",
        "mysql://db.example/hookline?password=S3cr3t",
        "mysql://hookline:S3cr3t@db.example/hookline",
    ],
)
def test_a_password_is_in_no_sentence_however_the_url_is_misspelt(url: str) -> None:
    with pytest.raises(WrongSetting) as refusal:
        load_settings({"HOOKLINE_DATABASE": url})
    assert "cr3t" not in str(refusal.value)
