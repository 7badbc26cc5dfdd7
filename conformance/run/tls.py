"""TLS as the options of a run ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.wire.connection import tls_context

if TYPE_CHECKING:
    import ssl

    from conformance.run.options import Options


def tls_of(options: Options) -> ssl.SSLContext:
    """TLS context for the connections of a run. Raises OSError for a file that can't be used."""
    return tls_context(
        verify=options.verify_tls,
        ca_file=options.ca_file,
        client_cert=options.client_cert,
        client_key=options.client_key,
    )
