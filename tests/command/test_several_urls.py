"""Several URLs: the nodes of one cluster, of which each connection goes to the next one."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from conformance.run.cluster import KNOWN_SECONDS
from conformance.run.options import Options
from conformance.run.probe import probe_target
from conformance.targets.server_process import running_server
from tests.command.conftest import SERVER
from tests.command.gateway import Gateway, Request, answer
from tests.command.test_tcp import reference_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.command.conftest import Command

SOME = ("--class", "queue-http", "--effort", "quick", "--clause")


def test_one_server_under_two_names_conforms(conformance: Command, server_url: str, tmp_path: Path) -> None:
    """A server conforms as all nodes of a cluster if it conforms alone; the run says which nodes it judged."""
    other = server_url.replace("127.0.0.1", "localhost")
    assert other != server_url
    done = conformance(server_url, other, *SOME, "ACK", "--clause", "POLL", "--report", str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert f"nodes       {other}" in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())["target"]["nodes"] == [server_url, other]


@contextlib.contextmanager
def half_a_node(server_url: str, refused: str) -> Iterator[str]:
    """URL of a second node of the server at the other URL that refuses operations whose path begins like `refused`."""

    def decide(request: Request) -> Request | bytes:
        return answer("404 Not Found") if request.path.startswith(refused) else request

    with Gateway(int(urlsplit(server_url).port or 0), decide) as gateway:
        yield f"ws://127.0.0.1:{gateway.port}/stomp"


@pytest.mark.parametrize(
    ("clause", "refused", "broken"),
    [
        ("MEMBER-REGISTER", "/consumer/register-consumer", "MEMBER-"),
        ("PUB", "/producer/publish", "PUB-"),
        ("POLL", "/consumer/poll", "POLL-"),
    ],
)
def test_a_node_that_does_not_serve_the_others_is_broken(
    conformance: Command, server_url: str, clause: str, refused: str, broken: str
) -> None:
    """A node that knows what is made at another, and does not do all that the other does, breaks clauses: status 1."""
    with half_a_node(server_url, refused) as other:
        done = conformance(server_url, other, *SOME, clause)
    assert done.returncode == 1, done.stdout + done.stderr
    assert broken in done.stdout
    # Each failure can be judged once more, at all nodes.
    assert other in done.stdout.partition("Once more, this alone:")[2]


def test_models_go_to_all_nodes(conformance: Command, server_url: str) -> None:
    """The process of the models has the nodes, too."""
    with half_a_node(server_url, "/consumer/poll") as other:
        done = conformance(server_url, other, *SOME, "ORDER")
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.parametrize("classes", [(), ("queue-http",), ("queue-stomp",), ("stomp-1.1",)])
def test_servers_that_do_not_know_one_another_are_wrong_usage(
    conformance: Command, server_url: str, classes: Sequence[str]
) -> None:
    """Unrelated servers are no cluster, whatever is judged: status 2 soon, with both URLs; nothing is judged."""
    named = [word for name in classes for word in ("--class", name)]
    with running_server(SERVER) as other:
        began = time.monotonic()
        done = conformance(server_url, other, *named, "--effort", "quick")
        took = time.monotonic() - began
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{other} does not know what was made at {server_url}" in done.stderr
    assert "Expected the nodes of one broker" in done.stderr
    assert done.stdout == ""
    assert took < KNOWN_SECONDS + 20


def test_strangers_over_tcp_are_wrong_usage(conformance: Command) -> None:
    """STOMP over TCP has no HTTP beside it."""
    with reference_server() as (first, _), reference_server() as (second, _):
        done = conformance(first, second, "--effort", "quick")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{second} does not know what was made at {first}" in done.stderr


def test_one_server_at_two_ports_of_tcp_conforms(conformance: Command) -> None:
    """Nodes whose subscribers get what is sent at the others are judged."""
    with reference_server() as (first, _):
        other = first.replace("127.0.0.1", "localhost")
        done = conformance(first, other, "--effort", "quick", "--clause", "STOMP-SUB")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stranger_among_several_is_named(conformance: Command, server_url: str) -> None:
    """The message names the node that knows nothing, not one that knows."""
    with running_server(SERVER) as stranger:
        related = server_url.replace("127.0.0.1", "localhost")
        done = conformance(server_url, related, stranger, *SOME, "ACK")
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"{stranger} does not know" in done.stderr


def test_a_cluster_that_needs_a_moment_is_judged(conformance: Command, server_url: str) -> None:
    """A node that learns some seconds later what was made at another is no stranger."""
    learned: list[float] = []

    def decide(request: Request) -> Request | bytes:
        is_foreign = request.path.startswith(("/consumer/register-consumer", "/consumer/subscribe-topic"))
        if not is_foreign:
            return request
        seen.append(time.monotonic())
        # The first registration is that of the node's own group.
        if len(seen) > 1 and seen[-1] - seen[0] < KNOWN_SECONDS / 3:
            return answer("404 Not Found")
        learned.append(seen[-1])
        return request

    seen: list[float] = []
    with Gateway(int(urlsplit(server_url).port or 0), decide) as gateway:
        done = conformance(server_url, f"ws://127.0.0.1:{gateway.port}/stomp", *SOME, "ACK-OK-1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(seen) > len(learned) > 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--heartbeat-timeout", "7"], "differ in their timings"),
        (["--partitions", "5"], "differ in their partitions"),
        (["--no-introspection"], "differ in their extensions"),
        (["--body-bytes", "70000"], "differ in their limits"),
    ],
)
def test_nodes_that_differ_are_wrong_usage(
    conformance: Command, server_url: str, more: list[str], said: str
) -> None:
    """The message names both URLs, what differs, and what is expected; nothing is judged."""
    with running_server(" ".join([SERVER, *more])) as other:
        done = conformance(server_url, other, *SOME, "ACK")
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert server_url in done.stderr
    assert other in done.stderr
    assert "Expected nodes of one cluster" in done.stderr


@pytest.mark.parametrize("smaller_first", [True, False])
def test_the_smallest_limit_of_connections_holds(
    monkeypatch: pytest.MonkeyPatch, server_url: str, smaller_first: bool
) -> None:
    """A node with room for few connections sets the limit of the run, whichever it is; it may differ."""
    # Nodes of one broker with two limits need a log: these two know nothing of one another.
    monkeypatch.setattr("conformance.run.probe.check_acquaintance", lambda *_: None)
    with running_server(f"{SERVER} --connections 3") as other:
        urls = (other, server_url) if smaller_first else (server_url, other)
        target = probe_target(Options(urls[0], nodes=urls[1:]))
    assert target.access.admission is not None
    assert target.access.admission.run.places.most == 2


def test_the_same_url_twice_is_wrong_usage(conformance: Command, server_url: str) -> None:
    """Two URLs of one address show nothing about a cluster."""
    done = conformance(server_url, server_url, *SOME, "ACK")
    assert done.returncode == 2
    assert "is the first URL again" in done.stderr


def test_the_second_url_again_is_wrong_usage(conformance: Command, server_url: str) -> None:
    """Each URL is that of another node, also those behind the first."""
    other = server_url.replace("127.0.0.1", "localhost")
    done = conformance(server_url, other, other, *SOME, "ACK")
    assert done.returncode == 2
    assert f"{other} is one of the URLs again" in done.stderr


def test_a_node_that_does_not_answer_is_named(conformance: Command, server_url: str) -> None:
    """Status 2, as for one server."""
    done = conformance(server_url, "ws://127.0.0.1:9/stomp", *SOME, "ACK")
    assert done.returncode == 2
    assert "127.0.0.1:9" in done.stderr


def test_one_address_of_http_is_for_one_server(conformance: Command, server_url: str) -> None:
    """`--http` can't be that of all nodes."""
    done = conformance(server_url, "ws://127.0.0.1:9/stomp", "--http", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert "--http" in done.stderr


def test_the_usage_shows_several(conformance: Command) -> None:
    """`--help` says what several URLs are."""
    done = conformance("--help")
    assert "URL [URL" in done.stdout
    assert "nodes of one" in " ".join(done.stdout.split())
