"""Ctrl-C and its like: at once, whatever runs, but for what must be finished first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")

SEND = "import os, signal, sys, weakref\nfrom optmap import interruption\nsend = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"


def run(program: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", SEND + program], capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, done.stdout.strip(), done.stderr


def test_a_process_ends_where_python_would_lose_an_exception() -> None:
    lost = "class A: pass\na = A()\nr = weakref.ref(a, send)\ndel a\nprint('went on')"
    assert run(f"signal.signal(signal.SIGINT, signal.default_int_handler)\n{lost}")[:2] == (0, "went on")
    assert run(f"interruption.ends_the_process()\n{lost}") == (130, "", "")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_what_must_be_finished(name: str, code: int) -> None:
    program = (
        "interruption.ends_the_process()\ninterruption.before_end.add(lambda: print('last', flush=True))\n"
        f"with interruption.held():\n    os.kill(os.getpid(), signal.{name})\n    print('finished', flush=True)\nprint('went on')"
    )
    assert run(program) == (code, "finished\nlast", "")


def test_what_the_process_is_to_ignore() -> None:
    """As under nohup."""
    program = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\ninterruption.ends_the_process()\nos.kill(os.getpid(), signal.SIGHUP)\nprint('on')"
    assert run(program) == (0, "on", "")


def test_another_handler_stays() -> None:
    """optmap as a library has no say in what Ctrl-C does."""
    program = (
        "signal.signal(signal.SIGINT, lambda *_: print('mine'))\n"
        "with interruption.held():\n    send()\nsend()\nprint('end')"
    )
    assert run(program) == (0, "mine\nmine\nend", "")


def test_started_processes_never_get_it() -> None:
    program = (
        "import subprocess\ninterruption.ends_the_process()\n"
        "child = 'import os, signal; os.kill(os.getpid(), signal.SIGINT); print(\"went on\")'\n"
        "with interruption.kept_from_children():\n"
        "    print(subprocess.run([sys.executable, '-c', child], capture_output=True, text=True).stdout, flush=True)\n"
        "    send()\n    print('waits', flush=True)\n"
        "print('went on')"
    )
    assert run(program) == (130, "went on\n\nwaits", "")


PHASES = """
import os, signal, sys, tempfile
from pathlib import Path
from optmap import cli, interruption
OLD = b"import torch\\nopt = torch.optim.SGD(net.parameters(), lr=0.1)\\n"

def child(directory, at, number, told):
    os.chdir(directory)
    sys.stdout = sys.stderr = open(os.devnull, "w")
    interruption.ends_the_process()
    seen = 0
    def count(frame, event, argument):
        nonlocal seen
        seen += 1
        if told and frame.f_code.co_filename.endswith("translate/write.py"):
            os.write(told, b"%d\\n" % seen)
        if seen == at:
            os.kill(os.getpid(), number)
    sys.argv = ["optmap", "translate", ".", "--write"]
    sys.setprofile(count)
    try:
        cli.main()
    except SystemExit as end:
        sys.setprofile(None)
        if told:
            os.write(told, b"%d\\n" % seen)
        os._exit(end.code)

def run(at, number, told=0):
    with tempfile.TemporaryDirectory() as directory:
        for name in ("a.py", "b.py"):
            Path(directory, name).write_bytes(OLD)
        process = os.fork()
        if not process:
            child(directory, at, number, told)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        found = {path.name: path.read_bytes() for path in Path(directory).iterdir()}
    return code, found

run(0, 0)  # loads the tables
reader, writer = os.pipe()
code, new = run(0, 0, writer)
os.close(writer)
places = list(map(int, os.read(reader, 1 << 16).split()))
assert code == 0 and len(places) > 20 and new["a.py"] == new["b.py"] != OLD
for turn, at in enumerate([*range(1, places[-1], places[-1] // 5), *places[: -1 : len(places) // 10]]):
    number = (signal.SIGINT, signal.SIGTERM)[turn % 2]
    code, found = run(at, number)
    assert code == 128 + number, (at, code)
    assert set(found) == {"a.py", "b.py"}, (at, found)
    assert all(text in (OLD, new["a.py"]) for text in found.values()), (at, found)
print("whole")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_in_every_phase_of_a_run_files_are_whole_and_nothing_is_left() -> None:
    code, out, err = run(PHASES)
    assert (code, out) == (0, "whole"), err
