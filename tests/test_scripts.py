"""Every script says what it is for, and refuses what it does not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
NAMES = sorted(path.name for path in SCRIPTS.glob("*.py") if 'if __name__ == "__main__":' in path.read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_help_and_nonsense(name: str, tmp_path: Path) -> None:
    for argument, code in (("--help", 0), ("--nonsense", 2)):
        command = [sys.executable, str(SCRIPTS / name), argument]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        assert "usage: " in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
