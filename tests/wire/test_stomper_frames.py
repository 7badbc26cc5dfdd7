"""Frames that `stomper` writes, and frames that it can't write."""

from hypothesis import given
from hypothesis import strategies as st

from conformance.wire.encoding import escape
from conformance.wire.stomper_frames import packed

TEXT = st.text(st.sampled_from("ab :\\\r\n/é"), max_size=6)
VERSIONS = st.sampled_from(["1.0", "1.1", "1.2"])


@given(name=TEXT.filter(bool), value=TEXT, version=VERSIONS)
def test_a_header_that_must_be_escaped_is_not_left_to_it(name: str, value: str, version: str) -> None:
    """`stomper` escapes nothing: it gets no header that needs escapes or would break lines."""
    altered = escape(name, version) != name or escape(value, version) != value
    unwritable = ":" in name or "\n" in name or "\n" in value
    octets = packed("SEND", [("destination", "/queue/a"), (name, value)], b"", version)
    assert (octets is None) == (altered or unwritable or name == "destination")


@given(
    values=st.lists(st.text("abc/é ", max_size=6), max_size=3),
    body=st.text("xyzé", max_size=5),
    version=VERSIONS,
)
def test_it_writes_what_was_meant(values: list[str], body: str, version: str) -> None:
    headers = [(f"name-{number}", value) for number, value in enumerate(values)]
    octets = packed("SEND", headers, body.encode(), version)
    lines = ["SEND", *(f"{name}:{value}" for name, value in headers), "", body]
    assert octets == "\n".join(lines).encode() + b"\0"


def test_what_it_cannot_write_is_left_to_us() -> None:
    """`stomper` can't write repeated names, bodies that are no text, and the command STOMP."""
    assert packed("SEND", [("a", "1"), ("a", "2")], b"", "1.2") is None
    assert packed("SEND", [], b"\xff", "1.2") is None
    assert packed("STOMP", [], b"", "1.2") is None
