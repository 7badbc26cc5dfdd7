"""Answers, substitution and the place of a failure, without a server."""

import pytest

from conformance.replay.answers import Answer, frame_answer, http_answer
from conformance.replay.record import bare_url, lines_of, read, record_of
from conformance.replay.script import place_of, steps_of
from conformance.replay.streams import Stream
from conformance.replay.substitution import Ids, Substitution, UnknownId
from conformance.targets.secrets import Secrets
from conformance.wire.trace import Event, Recording, Trace

TOKEN = "0123abcd"
URL = "ws://127.0.0.1:8080/stomp"


def reply(status: int, body: str, headers: str = "Content-Type: application/json\r\n") -> bytes:
    return (
        f"HTTP/1.1 {status} X\r\nDate: today\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )


def got(octets: bytes, connection: str = "http-1", at: float = 0.0, kind: str = "http") -> Event:
    return Event(at, connection, "receive", kind, octets, len(octets))


def sent(octets: bytes, connection: str = "http-1", at: float = 0.0, kind: str = "http") -> Event:
    return Event(at, connection, "send", kind, octets, len(octets))


def answers(*events: Event) -> list[Answer]:
    stream = Stream(TOKEN)
    for event in events:
        stream.feed(event)
    return list(stream.answers)


# Normal forms


def test_names_ids_and_dates_make_no_difference():
    first = http_answer(reply(200, '{"messageId": 7, "topicName": "t-0123abcd-1"}'), TOKEN)
    other = http_answer(
        reply(200, '{"topicName":"t-ffffffff-1","messageId":812}').replace(b"today", b"now"), "ffffffff"
    )
    assert (first.kind, first.form) == (other.kind, other.form)
    assert (first.ids, other.ids) == (("messageId:7",), ("messageId:812",))


def test_the_wording_of_a_refusal_makes_no_difference():
    first, other = (http_answer(reply(404, f'{{"detail": "{text}"}}'), TOKEN) for text in ("no", "none"))
    assert first.form == other.form
    assert first.is_refusal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (reply(200, '{"messageId": 7}'), reply(200, '{"messageId": "7"}')),
        (reply(200, '{"a": 1}'), reply(200, '{"a": 2}')),
        (reply(200, "{}"), reply(200, "{}", "Content-Type: text/plain\r\n")),
        (reply(404, '{"detail": "no"}'), reply(404, '["no"]')),
    ],
)
def test_what_a_server_decides_makes_one(one: bytes, other: bytes):
    assert http_answer(one, TOKEN).form != http_answer(other, TOKEN).form


def test_a_right_content_length_is_a_right_one():
    one, other = (
        frame_answer(b"MESSAGE\nmessage-id:%s\ncontent-length:1\n\n1\0" % number, TOKEN)
        for number in (b"1", b"22")
    )
    wrong = frame_answer(b"MESSAGE\nmessage-id:1\ncontent-length:01\n\n1\0", TOKEN)
    assert one.form == other.form != wrong.form


def test_octets_are_split_however_they_come():
    octets = b"RECEIPT\nreceipt-id:1\n\n\0\nMESSAGE\ncontent-length:3\n\na\0b\0"
    whole = answers(got(octets, kind="stomp"))
    assert [answer.kind for answer in whole] == ["RECEIPT", "MESSAGE"]
    single = answers(*(got(octets[n : n + 1], kind="stomp") for n in range(len(octets))))
    assert [answer.kind for answer in single] == ["RECEIPT", "MESSAGE"]
    replies = reply(200, "{}") + reply(204, "")
    assert [answer.kind for answer in answers(*(got(replies[n : n + 1]) for n in range(len(replies))))] == [
        "200",
        "204",
    ]


def test_an_end_makes_an_answer_of_what_is_incomplete():
    found = answers(got(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nhalf"), Event(0.0, "http-1", "end", ""))
    assert [answer.kind for answer in found] == ["200", "end"]


# Substitution


def test_ids_of_the_server_are_those_of_now():
    made = Substitution((TOKEN, "ffffffff"), (URL, "ws://[::1]:99/x"))
    assert made.ids.learn(["messageId:7", "ack:7"], ["messageId:1234", "ack:8"])
    sent_body = b'{"message_id":7,"consumer":"c-0123abcd"}'
    request = (
        b"POST /a HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: %d\r\n\r\n" % len(sent_body) + sent_body
    )
    head, _, body = made.request(request).partition(b"\r\n\r\n")
    assert body == b'{"message_id":1234,"consumer":"c-ffffffff"}'
    assert b"Content-Length: %d" % len(body) in head
    assert b"Host: [::1]:99" in head
    assert made.message(b"ACK\nid:7\n\n\0") == b"ACK\nid:8\n\n\0"


def test_an_id_that_no_server_gave_stays():
    made = Substitution((TOKEN, "ffffffff"), (URL, URL))
    assert made.message(b"ACK\nid:nothing\n\n\0") == b"ACK\nid:nothing\n\n\0"


def test_an_id_that_was_not_given_now_is_missed():
    ids = Ids()
    assert not ids.learn(["ack:7"], [])
    with pytest.raises(UnknownId):
        ids.of("ack:7")


def test_the_same_id_for_two_records_is_noticed():
    ids = Ids()
    assert ids.learn(["ack:1"], ["ack:5"])
    assert not ids.learn(["ack:2"], ["ack:5"])


# The file


def record(*events: Event, observed: str = "silence", passcode: str | None = None, url: str = URL, **more):
    recording = Recording(events, failed_at=max((event.at for event in events), default=0.0), **more)
    facts = {
        "suite": "1",
        "url": url,
        "clause": "A-1",
        "binding": "b",
        "test": "t",
        "expected": "e",
        "patience": 5.0,
    }
    secrets = Secrets([url], words=[passcode] if passcode else [])
    return record_of(recording, secrets=secrets, observed=observed, token=TOKEN, **facts)


def test_a_file_is_read_as_it_was_written():
    made = record(sent(b"POST /\xff HTTP/1.1\r\n\r\n"), got(reply(200, "{}"), at=1.5), held={"A-1": 1})
    again = read("\n".join(lines_of(made)) + "\n")
    assert again.recording.events == made.recording.events
    assert again.recording.held["A-1"] == 1
    assert (again.place.event, again.place.answer.kind) == (1, "200")


def test_no_secret_is_in_the_file():
    events = (
        sent(b"CONNECT\nlogin:a\npasscode:hush\n\n\0", kind="stomp"),
        sent(b"GET / HTTP/1.1\r\nAuthorization: Basic aHVzaA==\r\n\r\n"),
        Event(
            0.0,
            "ws-1",
            "open",
            "stomp",
            facts={"path": "stomp?token=hush", "headers": {"Cookie": "hush", "X": "y"}},
        ),
    )
    made = record(*events, passcode="hush", url="ws://bob:hush@host:1/stomp?token=hush")
    text = "\n".join(lines_of(made))
    assert "hush" not in text
    assert "aHVzaA" not in text
    assert made.wanted == {"passcode"}
    assert bare_url("ws://bob:hush@host:1/stomp?token=hush") == "ws://host:1/stomp"


# The place


def place(*events: Event, observed: str = "", failed_at: float = 10.0):
    recording = Recording(events, failed_at)
    return place_of(recording, steps_of(events, TOKEN), observed)


def test_an_observed_reply_is_the_place():
    first, last = got(reply(200, '{"a":1}')), got(reply(200, '{"b":1}'))
    found = place(sent(b"GET /"), first, sent(b"GET /"), last, observed='200 {"a":1}')
    assert (found.event, found.exact) == (1, True)


def test_otherwise_it_is_the_last_answer():
    found = place(sent(b"GET /"), got(reply(200, "{}")), sent(b"GET /"), got(reply(204, "")), observed="x")
    assert (found.event, found.answer.kind, found.exact) == (3, "204", False)


def test_a_long_wait_at_the_end_is_the_place():
    nothing = Event(6.0, "http-1", "nothing", "", facts={"seconds": 5.0})
    found = place(sent(b"GET /"), got(reply(200, "{}")), sent(b"GET /"), nothing)
    assert (found.event, found.answer.kind, found.seconds) == (3, "nothing", 5.0)


def test_without_a_connection_there_is_no_place():
    assert place(Event(0.0, "", "step", "", facts={"text": "thought"})) is None


# The trace


def test_a_new_example_forgets_all_but_open_sessions():
    trace = Trace()
    for name in ("a", "b"):
        trace.note(name, "open", "stomp")
        trace.record(name, ">", "stomp", b"CONNECT\n\n\0")
        trace.record(name, ">", "stomp", b"SEND\n\n\0")
    trace.note("b", "close", how="close")
    trace.forget()
    assert [(event.connection, event.octets) for event in trace.recording().events] == [
        ("a", b""),
        ("a", b"CONNECT\n\n\0"),
    ]


def test_what_was_dropped_is_counted():
    trace = Trace(entries=3)
    for number in range(5):
        trace.record("a", ">", "stomp", b"%d" % number)
        trace.hold("A-1")
    found = trace.recording()
    assert (found.dropped, len(found.events), found.held["A-1"]) == (2, 3, 3)
