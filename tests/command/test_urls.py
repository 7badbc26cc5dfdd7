"""URLs as users type, paste and generate them: a usable one is used, and any other is one sentence and status 2."""

from __future__ import annotations

import pytest

from tests.command.conftest import run_conformance
from tests.command.test_first_contact import refused

CLAUSE = ("--clause", "STOMP-CONNECT-001", "--class", "stomp-1.2")
LONG = "a" * 64


@pytest.mark.parametrize(
    "url",
    [
        f"ws://{LONG}.example/",
        "ws://two..dots/stomp",
        "wss://.example.com/",
        f"stomp://{LONG}",
        f"http://{LONG}.example:8080",
    ],
)
def test_a_host_that_can_be_none(url: str) -> None:
    """The resolver raises UnicodeError for such a name, which is no OSError."""
    refused(run_conformance(url, *CLAUSE), "no URL of a server", "can be no host")


@pytest.mark.parametrize("option", ["--http", "second URL"])
def test_a_host_that_can_be_none_beside_one_that_can(option: str) -> None:
    wrong = f"http://{LONG}.example"
    arguments = ("--http", wrong) if option == "--http" else (wrong,)
    ended = run_conformance("ws://127.0.0.1:1/", *arguments, *CLAUSE)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "can be no host" in ended.stderr or "nobody answers" in ended.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ws://127.0.0.1:1/stömp/日本", "ws://127.0.0.1:1/st%C3%B6mp/%E6%97%A5%E6%9C%AC"),
        ("ws://日本.example:8080/x", "ws://xn--wgv71a.example:8080/x"),
        ("ws://127.0.0.1:1/a?lang=ü&b=%20", "ws://127.0.0.1:1/a?lang=%C3%BC&b=%20"),
        ("stomp://日本.example", "stomp://xn--wgv71a.example"),
    ],
)
def test_characters_beyond_ascii_are_shown_as_requests_carry_them(url: str, said: str) -> None:
    refused(run_conformance(url, *CLAUSE), "beyond ASCII", said)


def test_an_encoded_url_shows_no_secret() -> None:
    ended = run_conformance("ws://bob:hunter2@日本.example/?token=日本abc", *CLAUSE)
    refused(ended, "ws://***@xn--wgv71a.example/?token=***")
    assert "hunter2" not in ended.stderr
    assert "abc" not in ended.stderr


@pytest.mark.parametrize("sign", ["#", "/", "?"])
def test_a_sign_in_a_password_that_ends_the_host_is_not_shown(sign: str) -> None:
    """Such a sign ends the authority of a URL: what is before it looks like a port."""
    ended = run_conformance(f"ws://bob:hun{sign}ter@127.0.0.1:1/", *CLAUSE)
    refused(ended, "'ws://***@127.0.0.1:1/'", "its port is no number", "%23")
    assert "hun" not in ended.stderr


@pytest.mark.parametrize("end", ["#top", "#", "?a=1#x"])
def test_a_fragment_is_refused(server_url: str, end: str) -> None:
    refused(run_conformance(server_url + end, *CLAUSE), "fragment", "leave out what begins with #")


def test_a_scheme_in_upper_case(server_url: str) -> None:
    """RFC 3986, section 3.1: schemes are case-insensitive; advice has another URL than the one that was given."""
    upper = server_url.replace("ws://", "WS://")
    ended = run_conformance(upper, *CLAUSE)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    refused(run_conformance(server_url.replace("ws://", "WSS://"), *CLAUSE), f"try {server_url}")
