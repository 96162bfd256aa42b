"""Makes a certificate for 127.0.0.1 by the `openssl` program: a library for it would be one more to keep."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that is its own authority, and its key; PEM files."""

    file: Path
    key: Path

    def client(self) -> ssl.SSLContext:
        """Returns what a client needs that trusts it, and nobody else."""
        return ssl.create_default_context(cafile=str(self.file))


def certificate(folder: Path) -> Certificate:
    """Returns a new one, made in *folder*."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl program")
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=hostler test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run(command, check=True, capture_output=True)
    return made
