"""A Kafka with TLS, with a login and with certificates of clients: nodes that may use it, and nodes that may not."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tests.brokers.running import free_ports
from tests.kafka.client import Client
from tests.kafka.cluster import running, why_not
from tests.kafka.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LISTENERS = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}},SASL_SSL://:{login},SSL://:{mutual}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_SSL://127.0.0.1:{login},SSL://127.0.0.1:{mutual}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=\\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_node="secret";
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
listener.name.ssl.ssl.client.auth=required
listener.name.ssl.ssl.truststore.type=PEM
listener.name.ssl.ssl.truststore.location={folder}/ca.pem
"""


class Secured(NamedTuple):
    """Ports of a broker: without TLS, with TLS and a login, with TLS and a certificate of the client."""

    plain: int
    login: int
    mutual: int
    folder: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker whose certificate is for 127.0.0.1, and certificates in files."""
    if reason := why_not():
        pytest.skip(f"no Kafka: {reason}")
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    for name, host in (("broker", "127.0.0.1"), ("node", "node.example")):
        certificate = authority.issue_cert(host)
        key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,  # the only one that Kafka reads
            serialization.NoEncryption(),
        )
        chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
        (folder / f"{name}.pem").write_bytes(key + chain)
    login, mutual = free_ports(2)
    with running(more=_LISTENERS.format(login=login, mutual=mutual, folder=folder)) as cluster:
        yield Secured(cluster.brokers[0].port, login, mutual, folder)


def _options(**more: str) -> dict[str, str]:
    """Settings of a login, `ca` and `password` among them."""
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": more.get("mechanism", "PLAIN"),
        "sasl.username": "node",
        "sasl.password": more.get("password", "secret"),
        "ssl.ca.location": more["ca"],
    }


def _words(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in ("--log-option", f"{name}={value}")]


def test_a_node_serves_over_tls_with_a_login(secured: Secured) -> None:
    """Topics are made and records stored; another node without TLS sees them: the log is the same."""
    options = _words(_options(ca=str(secured.folder / "ca.pem")))
    with (
        Node(f"kafka://127.0.0.1:{secured.login}", options) as one,
        Node(f"kafka://127.0.0.1:{secured.plain}") as two,
    ):
        assert Client(one.url).post("/topic/add-topic", topicName="news").status == 200
        assert Client(one.url).publish("news", "hello").body["offset"] == 0
        Client(two.url).consumer("reader", topic="news")
        assert Client(two.url).poll("reader").body["message"]["message"] == "hello"


def test_a_node_shows_a_certificate(secured: Secured) -> None:
    """The broker wants one of each client."""
    own = str(secured.folder / "node.pem")
    options = _words(
        {
            "security.protocol": "SSL",
            "ssl.ca.location": str(secured.folder / "ca.pem"),
            "ssl.certificate.location": own,
            "ssl.key.location": own,
        }
    )
    with Node(f"kafka://127.0.0.1:{secured.mutual}", [*options, "--log-name", "mutual"]) as node:
        assert Client(node.url).post("/topic/add-topic", topicName="news").status == 200
        assert Client(node.url).publish("news", "hello").body["offset"] == 0


def test_what_keeps_a_node_out_is_said(secured: Secured) -> None:
    """Status 2 with the reason and what to do; no password and no traceback. All are tried at the same time."""
    ca, other = str(secured.folder / "ca.pem"), str(secured.folder / "other.pem")
    cases: list[tuple[str, dict[str, str], tuple[str, ...]]] = [
        (
            f"127.0.0.1:{secured.login}",
            _options(ca=other),
            ("certificate verify failed", "ssl.ca.location=FILE"),
        ),
        (
            f"localhost:{secured.login}",
            _options(ca=ca),
            ("certificate verify failed", "for the host that --log names"),
        ),
        (
            f"127.0.0.1:{secured.login}",
            _options(ca=ca, password="nonsense"),
            ("Invalid username or password", "sasl.password"),
        ),
        (
            f"127.0.0.1:{secured.login}",
            _options(ca=ca, mechanism="SCRAM-SHA-256"),
            ("supported mechanisms: PLAIN", "sasl.mechanism"),
        ),
        (
            f"127.0.0.1:{secured.plain}",
            _options(ca=ca),
            ("SSL handshake failed", "Expected a port of the broker with TLS"),
        ),
        (
            f"127.0.0.1:{secured.login}",
            {},
            ("closes the connection", "security.protocol=SSL"),
        ),
        (
            f"127.0.0.1:{secured.mutual}",
            {"security.protocol": "SSL", "ssl.ca.location": ca},
            ("bad certificate", "ssl.certificate.location=FILE"),
        ),
    ]
    nodes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "reference_server", "--port", "0", "--log-timeout", "2"),
                *("--log", f"kafka://{where}", *_words(options)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for where, options, _ in cases
    ]
    try:
        for node, (where, _, said) in zip(nodes, cases, strict=True):
            _, errors = node.communicate(timeout=90)
            assert node.returncode == 2, errors
            assert f"The log kafka://{where} cannot be used" in errors
            for text in said:
                assert text in errors, errors
            assert "nonsense" not in errors
            assert "Traceback" not in errors
    finally:
        for node in nodes:
            node.kill()
            node.communicate()
