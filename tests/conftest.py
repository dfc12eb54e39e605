"""What all tests share: a state folder of their own, so that no test knows the plans of another."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def state_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder for bulkops' state, also in the processes a test starts."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("BULKOPS_STATE_DIR", str(folder))
    monkeypatch.delenv("BULKOPS_CONFIG", raising=False)
    return folder
