"""Files of TLS, judged by what TLS itself makes of them; what they hold is not repeated."""

import re
import ssl
from pathlib import Path

_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----")


def check_certificates(path: Path) -> None:
    """Do nothing with a file of certificates, be they of authorities or one's own.

    Raises:
        ValueError: it holds none, or one that is damaged.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
        found = context.cert_store_stats()["x509"]
    except OSError:
        found = 0
    if not found:
        raise ValueError("expected a file of whole certificates in PEM (-----BEGIN CERTIFICATE-----)")


def check_private_key(path: Path) -> None:
    """Do nothing with a file that holds a private key, as far as it can be told without the certificate.

    Raises:
        ValueError: it holds none.

    """
    if not _PRIVATE_KEY.search(path.read_bytes()):
        raise ValueError("expected a file with a private key in PEM (-----BEGIN PRIVATE KEY-----)")


def check_pair(certificate: Path, key: Path) -> None:
    """Do nothing with a certificate and its key.

    Raises:
        ValueError: the key is another one's, is damaged, or wants a passphrase, for which nobody can be asked.

    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=_nobody_knows)
    except OSError as error:
        raise ValueError("expected the private key of the certificate in PEM, without a passphrase") from error


def _nobody_knows() -> str:
    raise ssl.SSLError("a passphrase")
