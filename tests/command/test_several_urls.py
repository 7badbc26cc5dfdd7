"""Several URLs: the nodes of one cluster, of which each connection goes to the next one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.run.options import Options
from conformance.run.probe import probe_target
from conformance.targets.server_process import running_server
from tests.command.conftest import SERVER

if TYPE_CHECKING:
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


@pytest.mark.parametrize(
    ("clause", "broken"), [("MEMBER-REGISTER", "MEMBER-"), ("PUB", "PUB-"), ("POLL", "POLL-")]
)
def test_two_servers_are_no_cluster(conformance: Command, server_url: str, clause: str, broken: str) -> None:
    """Servers that know nothing of one another break what a client of the second expects: status 1."""
    with running_server(SERVER) as other:
        done = conformance(server_url, other, *SOME, clause)
    assert done.returncode == 1, done.stdout
    assert broken in done.stdout
    # Each failure can be judged once more, at all nodes.
    assert other in done.stdout.partition("Once more, this alone:")[2]


def test_models_go_to_all_nodes(conformance: Command, server_url: str) -> None:
    """The process of the models has the nodes, too."""
    with running_server(SERVER) as other:
        done = conformance(server_url, other, *SOME, "ORDER")
    assert done.returncode == 1, done.stdout


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
def test_the_smallest_limit_of_connections_holds(server_url: str, smaller_first: bool) -> None:
    """A node with room for few connections sets the limit of the run, whichever it is; it may differ."""
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
