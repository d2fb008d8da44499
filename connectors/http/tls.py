"""TLS of the HTTP client: our own certificate, whom to trust, and what a failed handshake means."""

import ssl
from dataclasses import dataclass, field

import httpx

from huntonce.models.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What we show to a server that asks who we are (mutual TLS): PEM files.

    Attributes:
        certificate: The certificate, with the chain up to the server's CA where it needs one.
        key: Its private key; empty where the first file holds both.
        password: Of the key; empty where it has none.
    """

    certificate: str
    key: str = ""
    password: str = field(default="", repr=False)


def tls_context(verify: bool | str, own: ClientCertificate | None) -> bool | ssl.SSLContext:
    """What httpx is to verify by, with our certificate where we have one.

    Raises:
        ConfigError: A file cannot be read, or the key does not belong to the certificate.
    """
    if own is None and not isinstance(verify, str):
        return verify
    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
        if verify is False:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if own is not None:
            # With an empty password OpenSSL fails; without one it would ask on the terminal.
            context.load_cert_chain(own.certificate, own.key or None, lambda: own.password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = ", ".join(
            one
            for one in (verify, own and own.certificate, own and own.key)
            if one and isinstance(one, str)
        )
        raise ConfigError(
            f"the certificates cannot be used ({files}): {error.strerror or error}"
            if isinstance(error, OSError)
            else f"the certificates cannot be used ({files})",
            hint="PEM files; the key belongs to the certificate, and its password must be right",
        ) from None
    return context


def connection_hint(error: httpx.TransportError) -> str:
    """What to look at where there was no connection."""
    hint = "check that the service runs and can be reached from here"
    # Whoever hears the other of the two languages answers with noise, or hangs up.
    if _among_causes(error, ssl.SSLError):
        return f"{hint}; where it does not speak TLS, its address starts with http://"
    hung_up = isinstance(error, httpx.RemoteProtocolError | httpx.ReadError)
    if hung_up and error.request.url.scheme == "http":
        return f"{hint}; where it speaks TLS, its address starts with https://"
    return hint


def is_certificate(error: BaseException) -> bool:
    """Whether the other side's certificate is not trusted."""
    return _among_causes(error, ssl.SSLCertVerificationError)


def _among_causes(error: BaseException, kind: type[BaseException]) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, kind):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
