"""Ctrl-C: at once, whatever runs, but for what must first be put in order."""

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


def test_what_must_be_put_in_order() -> None:
    program = (
        "interruption.ends_the_process()\n"
        "try:\n    with interruption.raises():\n        send()\n        print('went on')\n"
        "except KeyboardInterrupt:\n    print('in order', flush=True)\nsend()\nprint('went on')"
    )
    assert run(program) == (130, "in order", "")


def test_another_handler_stays() -> None:
    """optmap as a library has no say in what Ctrl-C does."""
    program = (
        "signal.signal(signal.SIGINT, lambda *_: print('mine'))\n"
        "with interruption.raises():\n    send()\nsend()\nprint('end')"
    )
    assert run(program) == (0, "mine\nmine\nend", "")


def test_started_processes_never_get_it() -> None:
    program = (
        "import subprocess\ninterruption.ends_the_process()\n"
        "child = 'import os, signal; os.kill(os.getpid(), signal.SIGINT); print(\"went on\")'\n"
        "with interruption.waits():\n"
        "    print(subprocess.run([sys.executable, '-c', child], capture_output=True, text=True).stdout, flush=True)\n"
        "    send()\n    print('waits', flush=True)\n"
        "print('went on')"
    )
    assert run(program) == (130, "went on\n\nwaits", "")
