"""What tests against the scripted server share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_authorities(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Spare each client the 90 ms of reading certificates: no test here speaks TLS."""
    folder: Path = tmp_path_factory.getbasetemp() / "no-authorities"
    folder.mkdir(exist_ok=True)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
