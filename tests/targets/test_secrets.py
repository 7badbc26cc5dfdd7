"""Secrets of a target, and the forms in which they are hidden."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.suite.stomp.reactions import Reaction
from conformance.targets.secrets import Secrets
from conformance.wire.cutting import cut_octets, cut_repr
from conformance.wire.frames import Frame
from conformance.wire.link import Closed

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "ws://bob:hunter%40two@host/stomp?token=T0k%2F98765&v=1"


@pytest.mark.parametrize(
    ("secrets", "text", "hidden"),
    [
        (Secrets([URL]), "you are bob with hunter@two", "hunter@two"),
        (Secrets([URL]), "Authorization: Basic Ym9iOmh1bnRlckB0d28=", "Ym9iOmh1bnRlckB0d28="),
        (Secrets([URL]), "no token T0k/98765 here", "T0k/98765"),
        (Secrets(["ws://t0ken-alone@host/"]), "you are t0ken-alone", "t0ken-alone"),
        (Secrets(headers={"Cookie": "theme=dark; sid=abc-12345"}), "no session abc-12345", "abc-12345"),
        (Secrets(headers={"Authorization": "Basic Ym9iOmh1bnRlcjI="}), "wrong: hunter2", "hunter2"),
        (Secrets(headers={"Authorization": "Bearer abc.def"}), "token=abc.def", "abc.def"),
        (Secrets(headers={"X-Pin": "12"}), "x-pin: 12", "12"),
        (Secrets(words=["pw"]), "\npasscode:pw\n", "pw"),
        (Secrets(words=["it's"]), repr(b'ERROR\nit\'s no "passcode"'), "it"),
        (Secrets(words=["se:cret"]), "message:se\\ccret", "se\\ccret"),
        (Secrets(words=["secret"]), repr(b"\x00secret\nsecret"), "secret"),
        (Secrets(words=['qu"ote']), json.dumps('a qu"ote'), "ote"),
        (Secrets(connect_headers={"client-secret": "a b&c"}), "?s=a+b%26c", "a+b%26c"),
    ],
)
def test_every_form_is_hidden(secrets: Secrets, text: str, hidden: str):
    assert hidden in text
    assert hidden not in secrets.text(text)
    octets = secrets.octets(text.encode())
    assert hidden.encode() not in octets


def test_a_short_secret_is_hidden_as_a_word_only():
    secrets = Secrets(words=["test"])
    assert secrets.text("a test, tests and a contest") == "a ***, tests and a contest"


@pytest.mark.parametrize("size", range(1, 12))
def test_a_secret_in_pieces_is_hidden_in_each_of_them(size: int):
    whole = b"a wrong passcode: hunter-two, and hunter-two again"
    pieces = [whole[begin : begin + size] for begin in range(0, len(whole), size)]
    masked = Secrets(words=["hunter-two"]).pieces(pieces, lambda secret, _origin: b"*" * len(secret))
    assert [len(piece) for piece in masked] == [len(piece) for piece in pieces]
    assert b"".join(masked) == whole.replace(b"hunter-two", b"*" * 10)
    named = Secrets(words=["hunter-two"]).pieces(pieces, lambda _secret, origin: f"({origin})".encode())
    assert b"".join(named) == whole.replace(b"hunter-two", b"(passcode)")


def test_the_origin_of_a_secret_is_known():
    secrets = Secrets([URL], {"Cookie": "abc"}, ["pass"], connect_headers={"Id": "7"})
    assert secrets.known == {
        "passcode": "pass",
        "user": "bob:hunter%40two",
        "query token": "T0k%2F98765",
        "header cookie": "abc",
        "connect-header Id": "7",
    }


LONG_TOKEN = "tok-" + "0123456789" * 4


@pytest.mark.parametrize("left", range(3, len(LONG_TOKEN)))
@pytest.mark.parametrize("shown", [cut_octets, cut_repr])
def test_the_beginning_of_a_secret_in_front_of_a_cut_is_hidden(
    shown: Callable[[bytes, int], str], left: int
) -> None:
    """A cut through a secret leaves no part of it, however much of it was in front of the cut."""
    secrets = Secrets(headers={"Authorization": f"Bearer {LONG_TOKEN}"}, words=["pässcode-with-ümläut"])
    said = f"wrong: {LONG_TOKEN} and more".encode()
    hidden = secrets.text(f"400 {shown(said, len('wrong: ') + left)} after 0.3 s")
    assert LONG_TOKEN[:3] not in hidden
    assert "wrong: ***" in hidden
    assert hidden.endswith("after 0.3 s")


def test_a_cut_through_a_character_of_a_secret_hides_what_is_left() -> None:
    secrets = Secrets(words=["pässcode-with-ümläut"])
    said = "no pässcode-with-ümläut".encode()
    for size in range(len("no päs".encode()), len(said)):
        assert "ss" not in secrets.text(cut_octets(said, size)).replace("***", "")
        assert "ss" not in secrets.text(cut_repr(said, size)).replace("***", "")


def test_what_is_no_beginning_of_a_secret_stays_in_front_of_a_cut() -> None:
    assert Secrets(words=["passcode-1"]).text("400 a code… and passc") == "400 a code… and passc"


def test_a_cut_frame_loses_the_beginning_of_a_secret() -> None:
    secrets = Secrets(words=["hunter-two"])
    assert secrets.cut_octets(b"ERROR\nmessage:hunter-t") == b"ERROR\nmessage:***"
    assert secrets.cut_octets(b"\xffERROR\n") == b"\xffERROR\n"


@pytest.mark.parametrize("left", range(3, len(LONG_TOKEN)))
def test_an_error_frame_is_cut_where_a_reader_of_secrets_can_see_it(left: int) -> None:
    """The observed text of a refusal shows the beginning of the ERROR, without that of a passcode."""
    secrets = Secrets(words=[LONG_TOKEN])
    for shown in (400, 600):
        head = b"ERROR\nmessage:"
        octets = head + b"x" * (shown - len(head) - left - 2) + f"{LONG_TOKEN} is wrong\n\n\0".encode()
        frame = Frame("ERROR", (("message", "x"),), b"", octets)
        observed = str(Reaction(error=frame, closed=Closed(1000, "")))
        assert LONG_TOKEN[:3] not in secrets.text(observed)
