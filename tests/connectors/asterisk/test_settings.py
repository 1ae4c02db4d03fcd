"""Settings of an Asterisk are complete, or refused with a sentence that names one."""

from typing import Any

import pytest

from hookline.connectors.asterisk import Asterisk
from hookline.errors import Invalid
from tests.fakes import ManualClock

NEEDED = {"host": "pbx.example", "username": "hookline", "secret": "s3cret"}


def check(**settings: Any) -> Any:
    return Asterisk(ManualClock(), lambda: 0.0).check({**NEEDED, **settings})


def test_what_is_not_given_has_its_default() -> None:
    assert check() == {
        **NEEDED,
        "port": 5038,
        "auth": "plain",
        "tls": False,
        "tlsVerify": True,
        "trunkChannelPrefixes": ["PJSIP/trunk-"],
        "inboundContexts": ["from-trunk"],
        "outboundContexts": ["from-internal"],
        "region": "",
    }


def test_what_is_complete_stays_as_it_is() -> None:
    settings = check(port=5039, tls=True, tlsVerify=False, auth="md5", region="gb", trunkChannelPrefixes=["SIP/x-"])
    assert settings["region"] == "GB"
    assert check(**settings) == settings
    assert check(**dict.fromkeys(("port", "tls", "auth", "region", "inboundContexts"))) == check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""), ("host", 5), ("host", "a\r\nb"), ("username", "a\nAction: Command"), ("secret", "x\r\n"),
        ("port", 0), ("port", 65536), ("port", "5038"), ("port", True), ("tls", "yes"), ("tlsVerify", 1),
        ("auth", "sha"), ("trunkChannelPrefixes", "PJSIP/"), ("trunkChannelPrefixes", []),
        ("inboundContexts", [""]), ("inboundContexts", [1]), ("region", "England"), ("region", 1), ("nat", True),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        check(**{name: value})
    assert caught.value.fields[0].field.startswith(f"settings.{name}")


@pytest.mark.parametrize("name", ["host", "username", "secret"])
def test_what_is_needed_is_asked_for(name: str) -> None:
    with pytest.raises(Invalid, match=rf"settings\.{name}: is needed") as caught:
        check(**{name: None})
    assert caught.value.code == "missing_parameter"


def test_a_secret_that_is_refused_is_not_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        check(secret="hunter2\n")
    assert "hunter2" not in caught.value.message
