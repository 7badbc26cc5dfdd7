"""A server that lets in only clients with a certificate of its authority: `--client-cert`, `--client-key`."""

from __future__ import annotations

import contextlib
import os
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.command import odd_servers
from tests.command.relay_of_heads import editing
from tests.command.test_first_contact import refused

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.command.conftest import Command

CLAUSES = ("--class", "queue-http", "--clause", "GROUP-ADD-1", "--clause", "TOPIC-ADD-1")
STOMP = ("--class", "stomp-1.2", "--clause", "STOMP-CONNECT-001", "--clause", "STOMP-SEND-001")


@dataclass(frozen=True)
class Files:
    """PEM files: the authority, a client's certificate with its key, and both by themselves."""

    authority: str
    whole: str
    certificate: str
    key: str
    other_key: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Files:
    folder = tmp_path_factory.mktemp("a folder")
    names = [str(folder / name) for name in ("ca.pem", "whole.pem", "cert.pem", "key.pem", "other.pem")]
    client = authority.issue_cert("me@example.org")
    authority.cert_pem.write_to_path(names[0])
    client.private_key_and_cert_chain_pem.write_to_path(names[1])
    client.cert_chain_pems[0].write_to_path(names[2])
    client.private_key_pem.write_to_path(names[3])
    authority.issue_cert("other@example.org").private_key_pem.write_to_path(names[4])
    return Files(*names)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.contextmanager
def closed_door(url: str, authority: trustme.CA, newest: ssl.TLSVersion | None = None) -> Iterator[int]:
    """Port of a door with TLS in front of a server, which asks each client for a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    if newest is not None:
        context.maximum_version = newest
    with odd_servers.listening(editing(url, lambda head: head), context) as port:
        yield port


@pytest.mark.parametrize("asked", [CLAUSES, STOMP], ids=["http", "stomp"])
def test_a_client_with_a_certificate_is_let_in(
    conformance: Command, server_url: str, authority: trustme.CA, files: Files, asked: tuple[str, ...]
) -> None:
    trust = ("--ca-file", files.authority)
    with closed_door(server_url, authority) as port:
        url = f"wss://127.0.0.1:{port}/stomp"
        whole = conformance(url, *asked, *trust, "--client-cert", files.whole)
        assert whole.returncode == 0, whole.stdout + whole.stderr
        apart = conformance(
            url, *asked, *trust, "--client-cert", files.certificate, "--client-key", files.key
        )
        assert apart.returncode == 0, apart.stdout + apart.stderr


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("asked", [(), CLAUSES, STOMP], ids=["all", "http", "stomp"])
def test_a_client_without_one_is_told(
    conformance: Command,
    server_url: str,
    authority: trustme.CA,
    files: Files,
    asked: tuple[str, ...],
    newest: ssl.TLSVersion,
) -> None:
    with closed_door(server_url, authority, newest) as port:
        ended = conformance(f"wss://127.0.0.1:{port}/stomp", *asked, "--ca-file", files.authority)
        refused(ended, "certificate of the client", "--client-cert FILE")


def test_a_certificate_of_another_authority_is_told(
    conformance: Command, server_url: str, authority: trustme.CA, files: Files, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    trustme.CA().issue_cert("me@example.org").private_key_and_cert_chain_pem.write_to_path(stranger)
    with closed_door(server_url, authority) as port:
        url = f"wss://127.0.0.1:{port}/stomp"
        ended = conformance(url, *CLAUSES, "--ca-file", files.authority, "--client-cert", str(stranger))
        refused(ended, "unknown ca", "--client-cert FILE")


def test_files_that_can_not_be_used(
    conformance: Command, server_url: str, files: Files, tmp_path: Path
) -> None:
    """Wrong files are wrong usage before the run, with the name of the file and what it must hold."""
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
    for options, said in (
        (("--client-cert", "nowhere.pem"), "nowhere.pem: No such file"),
        (("--client-cert", str(tmp_path)), "directory"),
        (("--client-cert", files.certificate), "no private key"),
        (("--client-cert", files.key), "no certificate"),
        (("--client-cert", files.certificate, "--client-key", "nowhere.pem"), "--client-key nowhere.pem"),
        (("--client-cert", files.certificate, "--client-key", files.other_key), "the key that belongs to it"),
        (("--client-cert", files.certificate, "--client-key", files.certificate), "no private key"),
        (("--client-cert", files.certificate, "--client-key", str(encrypted)), "without a passphrase"),
        (("--client-key", files.key), "--client-cert FILE"),
    ):
        refused(conformance(server_url, *CLAUSES, *options), said)


@pytest.mark.parametrize("asked", [CLAUSES, STOMP], ids=["http", "stomp"])
def test_tls_that_is_broken_off_is_no_failure_of_the_suite(
    conformance: Command, authority: trustme.CA, files: Files, asked: tuple[str, ...]
) -> None:
    """Octets without TLS in the middle of each connection are what a broken server sends, or one that is away."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def break_off(client: socket.socket) -> None:
        odd_servers.read_head(client)
        os.write(client.fileno(), b"HTTP/1.1 500 Out of Order\r\n\r\n")

    with odd_servers.listening(break_off, context) as port:
        ended = conformance(f"wss://127.0.0.1:{port}/stomp", *asked, "--ca-file", files.authority)
    assert ended.returncode in (1, 2, 4), ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
