"""Throw-away certificates, made by the openssl program."""

import subprocess
from pathlib import Path

import attrs


@attrs.frozen
class Certificate:
    """Two PEM files."""

    certificate: Path
    key: Path


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def authority(folder: Path, name: str = "ca") -> Certificate:
    """Return a new certificate authority."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
        *("-subj", f"/CN={name}", "-keyout", str(made.key), "-out", str(made.certificate)),
        *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
    )
    return made


def signed(folder: Path, by: Certificate, name: str) -> Certificate:
    """Return a certificate for a server or a client on 127.0.0.1."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
        *("-CA", str(by.certificate), "-CAkey", str(by.key), "-subj", f"/CN={name}"),
        *("-keyout", str(made.key), "-out", str(made.certificate)),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"),
        *("-addext", "extendedKeyUsage=serverAuth,clientAuth"),
    )
    return made
