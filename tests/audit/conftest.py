"""Interpreters in which a made-up framework, or none, is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.audit.fakes import MIXED, OPTIM

Interpreter = Callable[..., str]


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    """Makes a Python whose torch is given by its files, or a program out of a shell script."""

    def make(script: str = "", **files: str) -> str:
        site = tmp_path / "site" / "torch"
        site.mkdir(parents=True, exist_ok=True)
        for name, source in files.items():
            (site / f"{name}.py").write_text(source, encoding="utf-8")
        program = tmp_path / "python"
        start = script or f'PYTHONPATH="{site.parent}" exec "{sys.executable}" "$@"'
        program.write_text(f"#!/bin/sh\n{start}\n", encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    return make


@pytest.fixture
def fake_torch(interpreter: Interpreter) -> str:
    """A Python whose torch fits the table in `fakes`, and prints whatever it likes."""
    noise = 'import os\nprint("hello")\nos.write(1, b"native hello")\n__version__ = "1.5.0+cpu"\n'
    return interpreter(__init__=noise, optim=OPTIM, mixed=MIXED)
