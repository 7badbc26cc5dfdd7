"""Options for connections with TLS, and what is wrong with their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.wire.connection import tls_context

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from conformance.run.options import Options


def add_tls(group: argparse._ActionsContainer) -> None:
    """Add the options of trust and of the client's own certificate."""
    group.add_argument("--insecure", action="store_true", help="accept any TLS certificate")
    group.add_argument(
        "--ca-file", metavar="FILE", default=None, help="trust the certificate authorities in this PEM file"
    )
    group.add_argument(
        "--client-cert",
        metavar="FILE",
        default=None,
        help="show the certificate in this PEM file to servers that ask for one; its key is in the same file, or in "
        "that of --client-key",
    )
    group.add_argument(
        "--client-key", metavar="FILE", default=None, help="PEM file with the key of --client-cert"
    )


def tls_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Options` for the options of `add_tls`."""
    return {
        "verify_tls": not values["insecure"],
        "ca_file": values["ca_file"],
        "client_cert": values["client_cert"],
        "client_key": values["client_key"],
    }


def check_tls_files(options: Options) -> None:
    """Raises ValueError if the authorities, or the client's certificate and key, can't be read."""
    if options.ca_file is not None and not Path(options.ca_file).is_fifo():  # a pipe can be read once only
        _check_authorities(options.ca_file)
    if options.client_cert is not None:
        _check_certificate(options.client_cert, options.client_key)
    elif options.client_key is not None:
        raise ValueError(
            "--client-key: which certificate does the key belong to? Give it by --client-cert FILE"
        )


def _check_authorities(path: str) -> None:
    try:
        Path(path).read_bytes()
        tls_context(ca_file=path)
    except OSError as error:  # ssl.SSLError is one, too
        why = error.strerror or "no certificate"
        if "PEM" in why or "CERTIFICATE" in why.upper() or "X509" in why.upper():
            why = "it holds no certificate in PEM form"
        raise ValueError(
            f"--ca-file {path}: {why}; expected a readable PEM file, which begins with -----BEGIN CERTIFICATE-----"
        ) from error


def _check_certificate(certificate: str, key: str | None) -> None:
    for option, path in (("--client-cert", certificate), ("--client-key", key)):
        if path is not None:
            _check_readable(option, path)
    try:
        tls_context(client_cert=certificate, client_key=key)
    except OSError as error:
        holder = f"--client-key {key}" if key is not None else f"--client-cert {certificate}"
        text = Path(key or certificate).read_text(encoding="ascii", errors="replace")
        if "ENCRYPTED" in text:
            raise ValueError(
                f"{holder}: the key is encrypted; expected one without a passphrase, as `openssl pkey -in FILE` "
                "writes it"
            ) from error
        if "-----BEGIN CERTIFICATE-----" not in Path(certificate).read_text(
            encoding="ascii", errors="replace"
        ):
            raise ValueError(
                f"--client-cert {certificate}: it holds no certificate; expected a PEM file, which begins with "
                "-----BEGIN CERTIFICATE-----"
            ) from error
        if "PRIVATE KEY-----" not in text:
            raise ValueError(
                f"{holder}: it holds no private key; expected one in PEM form, in the same file or by --client-key FILE"
            ) from error
        raise ValueError(
            f"--client-cert {certificate}: {error.strerror or error}; expected a certificate and the key that belongs "
            "to it"
        ) from error


def _check_readable(option: str, path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{option} {path}: {error.strerror}; expected a readable PEM file") from error
