"""What a user installs: the wheel, outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = shutil.which("uv")


def uv(*words: object) -> None:
    assert UV is not None
    done = subprocess.run(
        [UV, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, f"uv {words}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.skipif(UV is None, reason="uv, which builds and installs the wheel, is not on this machine")
def test_the_wheel_holds_all_that_the_demo_needs(tmp_path: Path) -> None:
    """Built, installed into a fresh environment and run from an empty folder: `bulkops demo` ends with 0."""
    uv("build", "--wheel", "--out-dir", tmp_path / "dist", ROOT)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "bulkops/py.typed",
        "bulkops/data/catalog.json",
        "bulkops/simulator/firm.json",
        "bulkops/starter/bulkops.toml",
        "bulkops/starter/projects.xlsx",
        "bulkops/examples/legacy-clients/job.yaml",
        "bulkops/examples/legacy-clients/clients.csv",
    } <= names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]

    venv = tmp_path / "venv"
    programs = venv / ("Scripts" if os.name == "nt" else "bin")
    uv("venv", "--python", sys.executable, venv)
    uv("pip", "install", "--python", venv, wheel)
    empty = tmp_path / "empty"
    empty.mkdir()
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ran = subprocess.run(
        [programs / "bulkops", "demo", "--dir", tmp_path / "demo"],
        cwd=empty, env=env, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=120,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 changes, 49 unchanged" in ran.stdout
    assert not list(empty.iterdir())
