"""Workers that are missing, die, hang or print nonsense are told apart, and their last words are shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from optmap.conformance.pool import Session
from optmap.processes import WorkerError

Interpreter = Callable[[str], str]


@pytest.fixture
def interpreter(tmp_path: Path) -> Interpreter:
    """Makes a program out of a shell script that is started in place of Python."""

    def make(script: str) -> str:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return make


def failure(interpreter: str, limits: tuple[float, float] = (30.0, 30.0)) -> str:
    session = Session("torch", interpreter, limits=limits)
    with pytest.raises(WorkerError) as first:
        session.version()
    with pytest.raises(WorkerError) as second:
        session.run([])
    session.close()
    assert str(first.value) == str(second.value)
    return str(first.value)


def test_a_worker_that_dies(interpreter: Interpreter) -> None:
    message = failure(interpreter("echo cannot open libfoo.so >&2; exit 3"))
    assert "exited with code 3" in message
    assert "cannot open libfoo.so" in message


def test_a_worker_that_hangs(interpreter: Interpreter) -> None:
    message = failure(interpreter("echo still loading >&2; exec sleep 60"), (0.5, 0.5))
    assert "did not answer within 0.5 seconds" in message
    assert "still loading" in message


def test_a_worker_that_prints_nonsense(interpreter: Interpreter) -> None:
    message = failure(interpreter("echo oops >&2; echo Welcome to this machine; exec sleep 60"))
    assert "sent an invalid answer" in message
    assert "oops" in message


def test_an_interpreter_that_does_not_exist() -> None:
    assert "cannot be run: No such file" in failure("/no/such/python")


def broken_torch(interpreter: Interpreter, tmp_path: Path, statement: str) -> str:
    (tmp_path / "torch.py").write_text(statement, encoding="utf-8")
    return interpreter(f'PYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"')


def test_a_framework_that_is_not_installed(interpreter: Interpreter, tmp_path: Path) -> None:
    absent = broken_torch(interpreter, tmp_path, "raise ModuleNotFoundError('No module named torch', name='torch')")
    assert failure(absent) == "torch is not installed; pip install torch"


def test_a_framework_that_cannot_be_imported(interpreter: Interpreter, tmp_path: Path) -> None:
    message = failure(broken_torch(interpreter, tmp_path, "raise ImportError('undefined symbol: foo')"))
    assert "torch cannot be imported: ImportError: undefined symbol: foo" in message


def test_another_interpreter_needs_no_optmap(interpreter: Interpreter, tmp_path: Path) -> None:
    """The worker loads optmap from where it is, even where neither site-packages nor the current directory has it."""
    from importlib.util import find_spec

    numpy = find_spec("numpy")
    assert numpy is not None
    assert numpy.origin is not None
    (tmp_path / "only").mkdir()
    site = Path(numpy.origin).parents[1]
    for entry in ("numpy", "numpy.libs"):
        if (site / entry).exists():
            (tmp_path / "only" / entry).symlink_to(site / entry)
    program = interpreter(f'cd /; PYTHONPATH="{tmp_path / "only"}" exec "{sys.executable}" -S "$@"')
    session = Session("mindspore", program)
    assert "semantics" in session.version()
    session.close()
