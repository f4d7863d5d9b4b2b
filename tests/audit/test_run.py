"""Workers: what frameworks print does no harm, and those that are missing, die, hang or print nonsense are told apart."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from optmap.audit.results import FrameworkAudit, Unverified
from optmap.audit.run import audit
from optmap.mapping.framework import Framework
from tests.audit.conftest import Interpreter
from tests.audit.fakes import MIXED, OPTIM, TABLE, tables


def run(program: str, table: str = TABLE, limit: float = 30.0) -> FrameworkAudit:
    return audit(tables(table), [Framework("torch")], {Framework("torch"): program}, limit=limit).frameworks[0]


def test_a_framework_that_fits_and_prints(fake_torch: str) -> None:
    assert run(fake_torch) == FrameworkAudit(Framework("torch"), "1.5.0", 2)


def test_the_version_is_compared_too(fake_torch: str) -> None:
    found = run(fake_torch, TABLE.replace('verified: "1.5.0"', 'verified: "1.4.0"', 1))
    assert found.unverified == (Unverified("torch", "1.4.0", "1.5.0", 1),)
    assert found.differences == ()


def test_a_module_whose_package_is_not_installed_is_said(fake_torch: str) -> None:
    found = run(fake_torch, TABLE.replace("torch.mixed", "nowhere_to_be_found.optim"))
    assert found.notes == ("nowhere_to_be_found.optim is not audited: nowhere_to_be_found is not installed",)
    assert (found.sections, found.failure) == (1, None)
    assert [item.api for item in found.differences] == []


def test_a_module_that_cannot_be_imported(interpreter: Interpreter) -> None:
    program = interpreter(__init__="__version__ = '1.5.0'", optim=OPTIM, mixed="import nowhere_to_be_found")
    found = run(program)
    assert found.failure == "torch.mixed cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    assert found.installed
    assert found.differences == ()


def failure(program: str, limit: float = 30.0) -> str:
    found = run(program, limit=limit)
    assert found.version is None
    assert found.failure is not None
    assert found.installed is ("is not installed" not in found.failure)
    return found.failure


def test_a_worker_that_dies(interpreter: Interpreter) -> None:
    message = failure(interpreter("echo cannot open libfoo.so >&2; exit 3"))
    assert message == "the torch worker exited with code 3: cannot open libfoo.so"


def test_a_framework_that_kills_its_worker(interpreter: Interpreter) -> None:
    message = failure(interpreter(__init__="import os, sys\nprint('last words', flush=True)\nos.kill(os.getpid(), 11)"))
    assert message == "the torch worker exited with code -11: last words"


def test_a_worker_that_hangs(interpreter: Interpreter) -> None:
    message = failure(interpreter("echo still loading >&2; exec sleep 60"), 0.5)
    assert message == "the torch worker did not answer within 0.5 seconds: still loading"


def test_what_a_worker_that_hangs_has_started_is_not_waited_for(interpreter: Interpreter) -> None:
    started = time.monotonic()
    failure(interpreter("sleep 20 & sleep 20"), 0.5)
    assert time.monotonic() - started < 10


def test_a_worker_that_prints_nonsense(interpreter: Interpreter) -> None:
    message = failure(interpreter("echo oops >&2; echo Welcome to this machine"))
    assert message == "the torch worker sent an invalid answer: found b'Welcome ' where a frame was expected: oops"


def test_an_interpreter_that_does_not_exist() -> None:
    assert failure("/no/such/python") == "/no/such/python cannot be run: No such file or directory"


def test_a_framework_that_is_not_installed(interpreter: Interpreter) -> None:
    program = interpreter(__init__="raise ModuleNotFoundError('No module named torch', name='torch')")
    assert failure(program) == "torch is not installed; pip install torch"


@pytest.mark.parametrize("error", ["ImportError('undefined symbol: foo')", "RuntimeError('undefined symbol: foo')"])
def test_a_framework_that_cannot_be_imported(interpreter: Interpreter, error: str) -> None:
    message = failure(interpreter(__init__=f"raise {error}"))
    assert message.startswith(f"torch cannot be imported: {error.partition('(')[0]}: undefined symbol: foo")


def test_a_framework_that_crashes_on_its_way_out_has_answered(interpreter: Interpreter) -> None:
    crash = "import atexit, os\n__version__ = '1.5.0'\natexit.register(os._exit, 7)"
    assert run(interpreter(__init__=crash, optim=OPTIM, mixed=MIXED)) == FrameworkAudit(Framework("torch"), "1.5.0", 2)


def test_a_file_in_the_current_directory_is_never_run(
    fake_torch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "json", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this file must not be executed')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(fake_torch).failure is None
