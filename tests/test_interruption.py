"""Ctrl-C and its like: at once, whatever runs, but for what must be finished first."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")

SEND = "import os, signal, sys, weakref\nfrom optmap import interruption\nsend = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"


def run(program: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", SEND + program], capture_output=True, text=True, timeout=60, check=False
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
