"""Throw-away certificates, made by the openssl program."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

import attrs
import pytest

needs_openssl: Final = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")
_NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@attrs.frozen
class Certificate:
    """Two PEM files."""

    certificate: Path
    key: Path

    def in_one_file(self) -> Path:
        """Return a file that holds both."""
        both = self.certificate.with_suffix(".both.pem")
        both.write_bytes(self.key.read_bytes() + self.certificate.read_bytes())
        return both


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def authority(folder: Path, name: str = "ca") -> Certificate:
    """Return a new certificate authority."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl(
        *("req", "-x509", *_NEW_KEY, "-days", "2"),
        *("-subj", f"/CN={name}", "-keyout", str(made.key), "-out", str(made.certificate)),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
    )
    return made


def signed(folder: Path, by: Certificate, name: str, *, address: str = "127.0.0.1", days: int = 2) -> Certificate:
    """Return a certificate for a server or a client at an address; one of -1 days has expired."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text(
        f"subjectAltName=IP:{address}\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", str(made.key), "-out", str(request))
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(by.certificate), "-CAkey", str(by.key)),
        *("-days", str(days), "-extfile", str(extensions), "-out", str(made.certificate)),
    )
    return made
