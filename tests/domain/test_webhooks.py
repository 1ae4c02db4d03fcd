"""Where a URL leads, and what is refused of a webhook before anything is ever sent."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.events import EventKind
from hookline.domain.webhooks import (
    MAX_HEADER_VALUE,
    MAX_HEADERS,
    MAX_URL,
    Header,
    Secret,
    Target,
    masked_url,
    parse_bearer_token,
    parse_events,
    parse_rate,
    parse_url,
    require_sendable,
)
from hookline.errors import Invalid
from tests.fakes import MONDAY
from tests.values import HOUR, MICROSECOND, SECRET, webhook

# Where a URL leads


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/***"),
        ("https://me:secret@you.example/a?b=c@d", "https://you.example/***"),
        ("https://me:a@b@you.example", "https://you.example/***"),
        ("http://me@you.example:8443?x=/y@z", "http://you.example:8443/***"),
        ("https://[2001:db8::1]:8443/@me", "https://[2001:db8::1]:8443/***"),
        ("https://you.example", "https://you.example/***"),
    ],
)
def test_of_a_masked_url_scheme_and_host_are_left(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def target(**changes: Any) -> Target:
    values: dict[str, Any] = {"scheme": "https", "host": "a.example", "port": 443, "path": "/", "basic": None}
    return Target(**{**values, **changes})


def basic(credentials: bytes) -> str:
    return f"Basic {base64.b64encode(credentials).decode()}"


@pytest.mark.parametrize(
    ("url", "leads_to"),
    [
        ("https://a.example", target()),
        ("https://a.example/", target()),
        ("HTTPS://A.Example/", target()),
        ("http://a.example/hook", target(scheme="http", port=80, path="/hook")),
        ("http://a.example:8080/hook", target(scheme="http", port=8080, path="/hook")),
        ("https://a.example:/hook", target(path="/hook")),
        ("https://a.example:65535", target(port=65535)),
        ("https://127.0.0.1/", target(host="127.0.0.1")),
        ("https://[2001:DB8::1]:8443/x", target(host="2001:db8::1", port=8443, path="/x")),
        ("https://user:pass@a.example/", target(basic=basic(b"user:pass"))),
        ("https://user@a.example/", target(basic=basic(b"user:"))),
        ("https://:pass@a.example/", target(basic=basic(b":pass"))),
        ("https://us%40er:p%3Aa%2Fs%C3%A9@a.example/", target(basic=basic("us@er:p:a/sé".encode()))),
        ("https://user:p@ss@a.example/", target(basic=basic(b"user:p@ss"))),
    ],
)
def test_a_url_leads_to_scheme_host_port_path_and_credentials(url: str, leads_to: Target) -> None:
    assert parse_url(url) == leads_to
    assert webhook(url).target == leads_to


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.example/A/b%2fC/../d/./e//f", "/A/b%2fC/../d/./e//f"),
        ("https://a.example/x?b=2&a=1&a=%20+%2B", "/x?b=2&a=1&a=%20+%2B"),
        ("https://a.example?q", "/?q"),
        ("https://a.example/x?", "/x?"),
        ("https://a.example/x??y?z", "/x??y?z"),
        ("https://a.example/x;p=1;q?r", "/x;p=1;q?r"),
        ("https://a.example/'()*!$&,:@~", "/'()*!$&,:@~"),
        ("https://a.example/?u=https://b.example/?c@d", "/?u=https://b.example/?c@d"),
    ],
)
def test_path_and_query_are_kept_byte_for_byte(url: str, path: str) -> None:
    assert parse_url(url).path == path


@pytest.mark.parametrize(
    "url",
    [
        *("", "a.example", "//a.example/", "/hook", "ftp://a.example/", "file:///etc/passwd", "javascript:alert(1)"),
        *(
            "https://",
            "https:///hook",
            "https://:443/",
            "https://user@/",
            "https://a.example:0/",
            "https://a.example:65536/",
        ),
        *(
            "https://a.example:x/",
            "https://a.example:-1/",
            "https://a.example/#",
            "https://a.example/x#y",
            "https://[::1/",
            "https://[v1.a]/",
            "https://[v1.a]:8443/",
        ),
        *(
            "https://a b.example/",
            "https://a.example/ ",
            " https://a.example/",
            "https://a.example/\n",
            "https://a.example/\t",
        ),
        *(
            "https://a.example\\@b.example/",
            "https://exämple.com/",
            "https://a.example/é",
            "https://a.example/\x7f",
            "http:/a.example",
        ),
        "https://a.example/" + "x" * MAX_URL,
    ],
)
def test_what_is_no_absolute_http_url_in_ascii_is_refused_by_name(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_url(url)
    assert refused.value.fields[0].field == "url"


def test_a_url_may_be_as_long_as_it_may_be() -> None:
    parse_url("https://a.example/".ljust(MAX_URL, "x"))


@given(st.text() | st.text("htps:/@[]?#.%;&=ab1", max_size=40).map("https://".__add__))
def test_whatever_is_written_leads_somewhere_or_is_refused(url: str) -> None:
    try:
        leads_to = parse_url(url)
    except Invalid:
        return
    assert leads_to.host
    assert 1 <= leads_to.port <= 65535
    assert leads_to.path.startswith("/")
    assert leads_to.path.isascii()
    assert not set(leads_to.path) & set(" \r\n\t#")


# What is refused


def refused_field(**changes: Any) -> str:
    made = webhook(**changes)
    with pytest.raises(Invalid) as refused:
        require_sendable(made.target, made.bearer_token, made.headers)
    return refused.value.fields[0].field


def headers(*pairs: tuple[str, str]) -> tuple[Header, ...]:
    return tuple(Header(key=key, value=value) for key, value in pairs)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("X-Team", "a"),
        ("x_team.1!#$%&'*+^`|~", "~ !"),
        ("Authorization", "Token abc"),
        ("Accept", ""),
        ("Cookie", "a=b; c=d"),
        ("X-Long", "x" * MAX_HEADER_VALUE),
        ("X-Tab", "a\tb"),
        ("webhook", "fine"),
        ("hookline", "fine"),
    ],
)
def test_headers_of_ones_own_are_taken(key: str, value: str) -> None:
    require_sendable(target(), None, headers((key, value)))


@pytest.mark.parametrize(
    "key",
    [
        *("Host", "content-type", "Content-Length", "Transfer-Encoding", "Connection", "User-Agent", "Expect", "TE"),
        *("Trailer", "Upgrade", "Keep-Alive", "webhook-id", "Webhook-Signature", "WEBHOOK-ANYTHING", "hookline-event"),
        *(
            "Hookline-Test",
            "proxy-authorization",
            "Content-Encoding",
            "content-range",
            "Accept-Encoding",
            "Content-MD5",
        ),
    ],
)
def test_a_header_of_ours_or_of_the_connection_is_refused_by_name(key: str) -> None:
    assert refused_field(headers=headers(("X-Fine", "1"), (key, "x"))) == "headers[1].key"


@pytest.mark.parametrize("key", ["", " ", "a b", "a:b", "a\nb", "é", "a\0", "(x)", "a/b", '"q"'])
def test_what_is_no_header_name_is_refused(key: str) -> None:
    assert refused_field(headers=headers((key, "x"))) == "headers[0].key"


@pytest.mark.parametrize(
    "value", [" a", "a ", "a\nb", "a\r\nX-Evil: 1", "é", "\0", "\x7f", " ", "x" * (MAX_HEADER_VALUE + 1)]
)
def test_what_is_no_header_value_is_refused(value: str) -> None:
    assert refused_field(headers=headers(("X-Team", value))) == "headers[0].value"


def test_there_are_at_most_so_many_headers() -> None:
    require_sendable(target(), None, headers(*[("X-Team", "a")] * MAX_HEADERS))
    assert refused_field(headers=headers(*[("X-Team", "a")] * (MAX_HEADERS + 1))) == "headers"


@pytest.mark.parametrize("token", ["", " ", "a\nb", "a ", "é", "\0"])
def test_a_token_is_visible_ascii(token: str) -> None:
    assert refused_field(bearer_token=token) == "auth.token"


@pytest.mark.parametrize(
    "token", ["Bearer abc", "bearer  abc", "Basic YTpi", "a b", " abc", "abc ", "a\tb", "a\u00a0b"]
)
def test_a_token_with_a_scheme_or_a_space_is_refused(token: str) -> None:
    with pytest.raises(Invalid, match="without the word Bearer") as refused:
        parse_bearer_token(token)
    assert [each.field for each in refused.value.fields] == ["auth.token"]


@pytest.mark.parametrize("token", ["abc", "1|laravel", "a.b-c_d~e+f/g==", "Bearer"])
def test_a_token_without_spaces_is_taken(token: str) -> None:
    assert parse_bearer_token(token) == token


@pytest.mark.parametrize(
    "host",
    [
        *("a..example", ".example", "a.example..", "{host}", "<your-host>", "a,b.example", "a.example%20", "*.example"),
        *("x" * 64 + ".example", ".".join(["x" * 60] * 5), "https://a.example"),
        *("256.1.1.1", "127.1", "0x7f000001", "2130706433", "1.2.3.4.5", "a.example.1", "1.2.3.4.", "01.2.3.4"),
    ],
)
def test_a_host_that_nobody_can_resolve_is_refused(host: str) -> None:
    assert refused_field(url=f"https://{host}/hook") == "url"


@pytest.mark.parametrize(
    "host", ["a.example", "a_b.example", "a.example.", "xn--exmple-cua.com", "127.0.0.1", "1.example", "[::1]", "box"]
)
def test_a_host_that_somebody_may_resolve_is_taken(host: str) -> None:
    require_sendable(parse_url(f"https://{host}/hook"), None, headers())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "https://u:p@a.example/", "bearer_token": "t"}, "auth"),
        ({"url": "https://u@a.example/", "headers": headers(("authorization", "x"))}, "headers"),
        ({"bearer_token": "t", "headers": headers(("AUTHORIZATION", "x"))}, "headers"),
        ({"headers": headers(("Authorization", "x"), ("authorization", "y"))}, "headers"),
    ],
)
def test_authorization_has_one_source(changes: dict[str, Any], field: str) -> None:
    assert refused_field(**changes) == field


# Events and secrets


def test_events_are_kept_in_the_order_given() -> None:
    names = ["callFinished", "meetingBooked", "meetingCancelled", "meetingStarted"]
    assert [kind.value for kind in parse_events(names)] == names


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ([], "events"),
        (["meetingbooked"], "events[0]"),
        (["callFinished", "meeting_booked"], "events[1]"),
        (["callFinished", "meetingBooked", "callFinished"], "events[2]"),
        ([""], "events[0]"),
        (["x" * 10_000], "events[0]"),
    ],
)
def test_events_that_are_none_are_refused_by_name(names: list[str], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_events(names)
    assert refused.value.fields[0].field == field
    assert len(refused.value.message) < 300


def test_the_events_are_the_four_of_the_page() -> None:
    assert {kind.value for kind in EventKind} == {"meetingBooked", "meetingStarted", "meetingCancelled", "callFinished"}


@pytest.mark.parametrize(("asked", "kept"), [(0, None), (0.0, None), (0.01, 0.01), (5, 5.0), (10_000, 10_000.0)])
def test_a_limit_is_kept_as_asked_and_0_is_none(asked: float, kept: float | None) -> None:
    assert parse_rate(asked) == kept


@pytest.mark.parametrize("asked", [-1, -0.01, 0.009, 10_000.5, 1e300])
def test_a_limit_that_nobody_can_keep_is_refused_by_name(asked: float) -> None:
    with pytest.raises(Invalid, match=r"rateLimitPerSecond: expected 0\.01 to 10000") as refusal:
        parse_rate(asked)
    assert refusal.value.code == "out_of_range"


def test_a_secret_that_expires_signs_until_then() -> None:
    made = webhook(secrets=(Secret(value=SECRET), Secret(value="whsec_b2xk", expires_at=MONDAY + HOUR)))
    assert made.secrets_at(MONDAY + HOUR - MICROSECOND) == (SECRET, "whsec_b2xk")
    assert made.secrets_at(MONDAY + HOUR) == (SECRET,)
    assert made.secrets_at(MONDAY + timedelta(days=900)) == (SECRET,)
