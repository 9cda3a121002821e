"""Certificates for tests of TLS, made with the ``keytool`` that every Java has."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "changeit"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that signs itself.

    Attributes:
        keystore: It and its key (PKCS12, `PASSWORD`).
        authority: It alone (PEM).
    """

    keystore: Path
    authority: Path


def make_certificate(directory: Path) -> Certificate:
    """Make a certificate for 127.0.0.1, valid for two days."""
    made = Certificate(directory / "keystore.p12", directory / "authority.pem")
    store = ("-alias", "broker", "-keystore", str(made.keystore), "-storepass", PASSWORD, "-storetype", "PKCS12")
    about = ("-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-validity", "2")
    subprocess.run(["keytool", "-genkeypair", *store, *about], check=True, capture_output=True)
    exported = subprocess.run(["keytool", "-exportcert", "-rfc", *store], check=True, capture_output=True)
    made.authority.write_bytes(exported.stdout)
    return made
