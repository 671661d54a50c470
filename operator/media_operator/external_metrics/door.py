"""The TLS side of the served port: which certificate is shown, and whose client certificates are believed.

Both change while connections are open. A context forgets no authority that it was given, so each pair gets a context
of its own, and the one that listens only hands new connections to the newest. Nothing is resumed: a resumed session
would bring along a client that was verified by an authority of yesterday.
"""

from __future__ import annotations

import os
import ssl


class Door:
    """`context` listens; it serves nobody until `hang` has been called."""

    def __init__(self) -> None:
        self.context = _bare()
        self.context.sni_callback = self._hand_over
        self._newest: ssl.SSLContext | None = None

    def hang(self, chain: str, authority: str) -> None:
        """From now on, new connections see this certificate and are verified by this authority (both PEM)."""
        context = _bare()
        context.load_verify_locations(cadata=authority)
        _load(context, chain)
        self._newest = context

    def _hand_over(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext
    ) -> int | None:
        if self._newest is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._newest
        return None


def _bare() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    # Optional, so that who comes without a certificate is told 401 instead of a broken handshake. Certificate and
    # authorities of a connection are the newest context's; everything else it has from the one that listens.
    context.verify_mode = ssl.CERT_OPTIONAL
    # Front-proxy authorities made by openssl's defaults name no key usage, which the strict rules forbid.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _load(context: ssl.SSLContext, chain: str) -> None:
    """OpenSSL reads it from a file; one in memory, so that the key is on no disk."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(chain.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
