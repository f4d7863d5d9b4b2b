"""Workers that are missing, die, hang or print nonsense are told apart, and their last words are shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from optmap import processes
from optmap.conformance.catalog import catalog
from optmap.conformance.pool import Session
from optmap.conformance.scenario import Job
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


def test_a_session_answers_nothing_once_its_time_is_over() -> None:
    session = Session("mindspore", total=0.05)
    assert session.run([]) == []
    time.sleep(0.06)
    with pytest.raises(WorkerError, match=r"the time limit of 0\.05 seconds was over"):
        session.run([Job("mindspore.nn.SGD", {}, catalog()["dense-mse"], 1, "float32")])


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


BAD_IMPORTS = {
    "a crash": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "an end": "import os\nos._exit(0)",
    "an error of its own": "class E(BaseException): pass\nraise E('no')",
    "a hang": "import time\ntime.sleep(100)",
    "a hang that listens to nobody": "import signal, time\nfor n in (2, 15, 1): signal.signal(n, signal.SIG_IGN)\nwhile True: time.sleep(1)",
    "a flood": "import os\nwhile True: os.write(2, b'x' * 65536)",
    "a flood of output": "while True: print('x' * 65536)",
    "all memory": "x = []\nwhile True: x.append(bytearray(1 << 26))",
    "a hang behind a closed output": "import os, time\nfor n in range(3, 20):\n    try: os.close(n)\n    except OSError: pass\ntime.sleep(100)",
    "a child that stays": "import os, time\nif not os.fork(): time.sleep(100)\nos._exit(4)",
    "what steers a terminal": "import sys\nsys.stderr.write('\\x1b[2J\\n::error::forged\\n')\nraise SystemExit(5)",
}


@pytest.mark.parametrize("case", BAD_IMPORTS)
def test_a_framework_that_misbehaves_when_it_is_imported(
    interpreter: Interpreter, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_PATIENCE", 1.0)
    path = broken_torch(interpreter, tmp_path, BAD_IMPORTS[case])
    if case == "all memory":
        path = interpreter(f'ulimit -d 400000; PYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"')
    started = time.monotonic()
    message = failure(path, (2.0, 2.0))
    assert time.monotonic() - started < 20
    assert len(message) < 2 * processes._KEPT
    assert "\x1b" not in message


def started_in(directory: Path) -> Iterator[str]:
    """The processes whose environment names a directory."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(directory).encode() in (process / "environ").read_bytes():
                yield (process / "cmdline").read_text()
