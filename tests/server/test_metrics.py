"""`GET /health` and `GET /metrics`: what an operator's tools see."""

from __future__ import annotations

import base64
import contextlib
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.test_command_line import ended, running
from tests.server.wire import UPGRADE, Http, Stomp, eventually, request, upgrade

if TYPE_CHECKING:
    from reference_server.server import Server
    from tests.server.conftest import Serve
    from tests.server.wire import Server as AnyServer

Labels = frozenset[tuple[str, str]]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "operation.md"
LOGIN = "Basic " + base64.b64encode(b"ann:secret").decode()


class Scrape:
    """The samples of one scrape, by name and labels."""

    def __init__(self, server: AnyServer, **headers: str) -> None:
        with Http.to(server) as client:
            answer = client.exchange(request("GET", "/metrics", **headers))
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.text = answer.body.decode("ascii")
        self.samples: dict[tuple[str, Labels], float] = {}
        for family in text_string_to_metric_families(self.text):
            assert family.documentation
            assert family.type != "unknown"
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples
                self.samples[key] = sample.value

    def __getitem__(self, name: str) -> float:
        """The value of a metric without labels."""
        return self.of(name)

    def of(self, name: str, **labels: str) -> float:
        return self.samples.get((f"stompliance_{name}", frozenset(labels.items())), 0)

    def all(self, name: str, label: str) -> dict[str, float]:
        """The values of a metric by one of its labels."""
        found = {}
        for (each, labels), value in self.samples.items():
            if each == f"stompliance_{name}":
                found[dict(labels)[label]] = value
        return found


def prepare(client: Http, *, partitions: int = 2) -> None:
    """A topic, a group and a member of it."""
    client.ask("/topic/add-topic", topicName="news", partitions=partitions)
    client.ask("/consumer-group/add", consumer_group_name="g")
    client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="c")
    assert client.ask("/consumer/subscribe-topic", consumer_name="c", topic_list="news").status == 200


# Health


def test_health(serve: Serve) -> None:
    """The status, the version and the uptime in seconds, and nothing else; with users, it needs no login."""
    for server in (serve(), serve(user=("ann:secret",))):
        with Http.to(server) as client:
            first, second = client.get("/health"), client.get("/health")
            for answer in (first, second):
                assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
                assert set(answer.json) == {"status", "version", "uptime"}
                assert answer.json["status"] == "ok"
                assert answer.json["version"] == client.get("/capabilities").json["version"]
            assert 0 <= first.json["uptime"] <= second.json["uptime"] < 1000
            client.send(request("HEAD", "/health"))
            assert client.answer(to_head=True).status == 200


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_who_may_ask(server: Server, path: str) -> None:
    """Foreign names and pages of other origins are refused, as everywhere; other methods are."""
    with Http.to(server) as client:
        assert client.exchange(request("GET", path, Host="evil.example")).status == 421
        assert client.exchange(request("GET", path, Origin="https://evil.example")).status == 403
        answer = client.ask(path)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert client.exchange(request("GET", path + "?verbose=1")).status == 200
        assert client.get(path + "/x").status == 404
        client.send(request("HEAD", path))
        assert client.answer(to_head=True).status == 200
        assert client.get(path).status == 200


# Metrics


def test_a_login_for_the_metrics(serve: Serve) -> None:
    """With users, names of topics are not for everybody."""
    server = serve(user=("ann:secret",))
    with Http.to(server) as client:
        assert client.get("/metrics").cause == "login-refused"
    assert Scrape(server, Authorization=LOGIN).of("refusals_total", cause="login-refused") == 1


def test_a_process() -> None:
    """A broker at work tells connections, sessions, frames, records, octets, lag, rebalances and times."""
    with running("--port", "0", "--stomp-port", "0") as server:
        before = Scrape(server)
        assert before["records_total"] == 0
        with Http.to(server) as client, Stomp.connected(server) as new, Stomp.connected(server, "1.0") as old:
            prepare(client)
            for key in ("a", "b", "c"):
                client.ask("/publish/news", messageID=1, message="five5", key=key)
            record = client.ask("/consumer/poll", consumer_name="c").json
            settled = {"consumer_name": "c", "message_id": record["messageId"]}
            assert client.ask("/consumer/acknowledgement", **settled).status == 202
            new.fence()
            old.fence()
            seen = Scrape(server)
            eventually(lambda: Scrape(server)["open_connections"] == 4, "closed connections count as open")
        assert seen["connections_total"] == before["connections_total"] + 4
        assert seen.all("sessions", "version") == {"1.0": 1, "1.1": 0, "1.2": 1}
        assert seen.all("frames_total", "direction") == {"received": 6, "sent": 4}
        assert seen.all("records_total", "topic") == {"news": 3}
        assert seen.all("topic_bytes", "topic") == {"news": 18}
        assert (seen["topics"], seen["consumer_groups"], seen["consumers"]) == (1, 1, 1)
        lag = [seen.of("lag_records", group="g", topic="news", partition=index) for index in "01"]
        assert sum(lag) == 2
        assert (seen["rebalances_total"], seen["evictions_total"]) == (1, 0)
        assert seen.all("refusals_total", "cause") == {}
        assert 18 < seen["kept_bytes"] < seen["kept_bytes_limit"] == 512 * 1024**2
        assert seen.of("request_seconds_count", binding="http") == 9
        assert 4 <= seen.of("request_seconds_count", binding="stomp") <= 6  # as the octets come
        assert seen.of("request_seconds_bucket", binding="http", le="+Inf") == 9
        assert 0 < seen.of("request_seconds_sum", binding="http") < 9 * 20
        assert seen["lock_wait_seconds_count"] >= 13
        assert seen.samples["process_resident_memory_bytes", frozenset()] > 1e6
        server.process.send_signal(signal.SIGTERM)
        assert ended(server.process) == (0, "")


def test_the_page_names_all_metrics(server: Server) -> None:
    """The table of docs/operation.md has each metric with its type and its labels, and no other one."""
    rows = re.findall(r"^\| (`stompliance_.+?) \| (\w+) \| (.*?)\|", PAGE.read_text("utf-8"), re.MULTILINE)
    listed = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for names, kind, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    with Http.to(server) as client:
        prepare(client)
        client.get("/nothing")
    seen = {}
    for family in text_string_to_metric_families(Scrape(server).text):
        if family.name.startswith("stompliance_"):
            suffix = "_total" if family.type == "counter" else ""
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            seen[family.name + suffix] = (family.type, labels)
    assert listed == seen


def test_rebalances_and_evictions(serve: Serve) -> None:
    """A rebalance for each change of the members of a topic; none for a subscription that changes nothing."""
    server = serve(virtual_clock=True)
    with Http.to(server) as client:
        prepare(client)
        client.ask("/consumer/subscribe-topic", consumer_name="c", topic_list="news")
        assert Scrape(server)["rebalances_total"] == 1
        client.ask("/consumer/register-consumer", consumer_group_name="g", consumer_name="d")
        client.ask("/consumer/subscribe-topic", consumer_name="d", topic_list="news")
        client.ask("/consumer/unregister-consumer", consumer_name="d")
        assert Scrape(server)["rebalances_total"] == 3
        client.ask("/clock/advance", seconds=100)
        seen = Scrape(server)
        assert (seen["rebalances_total"], seen["evictions_total"], seen["consumers"]) == (4, 1, 0)


def test_heart_beats_are_no_frames(serve: Serve) -> None:
    """Neither those of the server nor those of the client are counted."""
    server = serve(heartbeat_interval=0.02)
    with Stomp.to(server) as client:
        client.connect(heart_beat="0,20")
        client.send(b"\x81\x81\0\0\0\0\n" * 3)
        for _ in range(3):  # the server beats only while it has nothing else to send
            assert client.message()[1] == b"\n"
        client.fence()
        fences = Scrape(server).all("frames_total", "direction")
        assert fences["received"] == 2 * fences["sent"] - 1


def test_refusals_by_cause(serve: Serve) -> None:
    """Each refusal is counted once, by its cause, by whichever door it came."""
    server = serve()
    missing = b'{"messageID":1,"message":"x"}'
    expected = {}
    with Http.to(server) as client:
        client.ask("/publish/missing", messageID=1, message="x")
        client.ask("/consumer/poll", consumer_name="nobody")
        client.get("/nothing")
        client.exchange(request("GET", "/topics", Host="evil.example"))
        client.exchange(request("GET", "/stomp"))
        client.exchange(request("POST", "/topic/add-topic", b"{}", Content_Type="text/plain"))
        expected |= {"topic-unknown": 1, "consumer-unknown": 1, "path-unknown": 1, "host-unknown": 1}
        expected |= {"upgrade-required": 1, "media-type": 1, "request-malformed": 1}
        client.exchange(b"nonsense / \r\n\r\n")
        expected["method-not-allowed"] = 1
    with Http.to(server) as client:
        assert client.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n").status == 400
    with Http.to(server) as client:
        client.send(upgrade(Sec_WebSocket_Key="short"))
        assert client.answer().status == 400
        expected["handshake-refused"] = 1
    with Stomp.connected(server) as session:
        session.say("SEND", {"destination": "/publish/missing"}, missing)  # dropped
        session.subscribe("/user/queue/replies")
        session.say("SEND", {"destination": "/publish/missing"}, missing)
        assert session.expect("MESSAGE")["status"] == "404"
        session.say("SEND", {"destination": "/publish/missing", "receipt": "r"}, missing)
        session.expect("MESSAGE")
        session.refused()
        expected["topic-unknown"] += 3
    with Stomp.to(server) as session:
        session.say("SEND", {"destination": "/queue/q"})
        session.refused()
        expected["not-connected"] = 1
    assert Scrape(server).all("refusals_total", "cause") == expected


def test_one_connection_too_many(serve: Serve) -> None:
    """A connection past the bound is a refusal, and none of the accepted ones."""
    server = serve(connections=3)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Http.to(server)) for _ in range(3)]
        assert all(client.get("/health").status == 200 for client in clients)
        with Http.to(server) as one_too_many:
            assert one_too_many.answer().cause == "too-many-connections"
    eventually(lambda: server.listener.connections == 0, "connections are still open")
    seen = Scrape(server)
    assert seen.all("refusals_total", "cause") == {"too-many-connections": 1}
    assert (seen["connections_total"], seen["open_connections"]) == (4, 1)


def test_causes_that_clients_make_up(server: Server) -> None:
    """Nothing that a client sends becomes a label: commands, headers, paths, methods."""
    for number in range(150):
        with Stomp.connected(server) as session:
            session.say(f"MADEUP{number}", {f"header{number}": "x"})
            session.refused()
    with Http.to(server) as client:
        for number in range(150):
            client.get(f"/path{number}")
            client.exchange(request("PUT", f"/topics/{number}"))
    assert set(Scrape(server).all("refusals_total", "cause")) == {
        "unknown-command",
        "path-unknown",
        "method-not-allowed",
    }


def test_many_topics(server: Server) -> None:
    """A bounded number of topics has series of its own; the rest is one sum."""
    with Http.to(server) as client:
        for number in range(205):
            client.ask("/topic/add-topic", topicName=f"t{number}", partitions=1)
            client.ask(f"/publish/t{number}", messageID=1, message="abc")
    seen = Scrape(server)
    for name, each in (("records_total", 1), ("topic_bytes", 3)):
        values = seen.all(name, "topic")
        assert values.pop("(others)") == 5 * each
        assert values == {f"t{number}": each for number in range(200)}


def test_many_partitions_of_groups(server: Server) -> None:
    """A bounded number of a group's partitions has series of its own; the rest is one sum."""
    with Http.to(server) as client:
        prepare(client, partitions=1000)
        exact = Scrape(server)
        assert len(exact.all("lag_records", "partition")) == 1000
        assert "(others)" not in exact.text
        client.ask("/topic/add-topic", topicName="more", partitions=3)
        client.ask("/consumer/subscribe-topic", consumer_name="c", topic_list="more")
        for _ in range(7):
            client.ask("/publish/more", messageID=1, message="abc")
    values = Scrape(server).all("lag_records", "partition")
    assert values.pop("(others)") == 7
    assert len(values) == 1000


def test_names_as_labels(server: Server) -> None:
    """Each legal name is a label as it is, the longest one included."""
    names = ["...", "-", "_", "a" * 128, "A.b-c_9", "others"]
    with Http.to(server) as client:
        for name in names:
            assert client.ask("/topic/add-topic", topicName=name).status == 200
        for name in ('a"b', "a\nb", "a\\b", "(others)", "ä"):
            assert client.ask("/topic/add-topic", topicName=name).status == 400
    assert set(Scrape(server).all("records_total", "topic")) == set(names)


def test_scrapes_beside_work(server: Server) -> None:
    """Counts are exact, and scrapes are answered, while many threads publish, and add and remove groups."""
    failures: list[BaseException] = []

    def publish(name: str) -> None:
        with Http.to(server) as client:
            for number in range(100):
                assert client.ask("/publish/news", messageID=number, message=name).status == 200
                assert client.ask("/publish/none", messageID=number, message=name).status == 404

    def churn(name: str) -> None:
        with Http.to(server) as client:
            for _ in range(30):
                client.ask("/consumer-group/add", consumer_group_name=name)
                client.ask("/consumer/register-consumer", consumer_group_name=name, consumer_name=name)
                client.ask("/consumer/subscribe-topic", consumer_name=name, topic_list="news")
                assert client.ask("/consumer-group/remove", consumer_group_name=name).status == 202

    def scrape(_name: str) -> None:
        before = 0.0
        for _ in range(30):
            seen = Scrape(server)
            now = seen.of("records_total", topic="news")
            assert now >= before
            assert all(lag >= 0 for lag in seen.all("lag_records", "partition").values())
            before = now

    def guarded(work: object, name: str) -> None:
        try:
            work(name)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001  asserted below, in the thread of the test
            failures.append(error)

    with Http.to(server) as client:
        client.ask("/topic/add-topic", topicName="news", partitions=4)
    works = [publish] * 4 + [churn] * 2 + [scrape] * 2
    threads = [threading.Thread(target=guarded, args=(work, f"n{n}")) for n, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    seen = Scrape(server)
    assert seen.of("records_total", topic="news") == 400
    assert seen.of("refusals_total", cause="topic-unknown") == 400
    assert seen.of("request_seconds_count", binding="http") == 800 + 1 + 2 * 30 * 4
    assert (seen["consumer_groups"], seen["rebalances_total"]) == (0, 60)


def test_a_server_counts_for_itself(serve: Serve) -> None:
    """Two servers of one process have metrics of their own."""
    one, other = serve(), serve()
    with Http.to(one) as client:
        client.get("/nothing")
    assert Scrape(one).of("refusals_total", cause="path-unknown") == 1
    assert Scrape(other).of("refusals_total", cause="path-unknown") == 0


def test_the_path_may_be_one_of_websocket(serve: Serve) -> None:
    """A server whose WebSocket is at /metrics serves an upgrade there, and everything else as before."""
    server = serve(path=("/metrics",))
    with Stomp.connected(server, path="/metrics") as session:
        session.fence()
        assert Scrape(server).of("sessions", version="1.2") == 1
    assert UPGRADE["Upgrade"] == "websocket"
