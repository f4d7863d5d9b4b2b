"""The command line, run within the tests' own process or, where a process is the subject, in one of its own.

`run` gives `optmap.cli.main` its arguments, its working directory and its standard streams as bytes, and catches its exit. What
only a process has (signals, closed pipes, terminals, what start-up imports, several workers) is tested with `start`.
"""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest

from optmap import cli

Argument = str | os.PathLike[str] | bytes


class Done:
    """A finished run. No run may show a traceback or call itself faulty."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out, err.decode("utf-8", "replace")
        assert "Traceback" not in self.err, self.err
        assert "internal error" not in self.err, self.err
        assert self.code in (0, 1, 2), (self.code, self.err)

    def json(self) -> Any:
        return json.loads(self.out)


def command(*arguments: Argument) -> list[Any]:
    """The words that start optmap in a process."""
    return [sys.executable, "-m", "optmap", *arguments]


def start(*arguments: Argument, cwd: Path, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> Done:
    """Run optmap in a process of its own."""
    done = subprocess.run(
        command(*arguments), cwd=cwd, input=stdin, capture_output=True, env={**os.environ, **(env or {})},
        timeout=120, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def run(*arguments: Argument, cwd: Path, stdin: bytes = b"", encoding: str = "utf-8") -> Done:
    """Run optmap in this process. `encoding` is that of the streams, as PYTHONIOENCODING sets it for a process."""
    out, err = io.BytesIO(), io.BytesIO()
    with chdir(cwd), _streams(stdin, out, err, encoding), _start_state([os.fsdecode(item) for item in arguments]):
        with pytest.raises(SystemExit) as end:
            cli.main()
        sys.stdout.flush()
        sys.stderr.flush()
    code = end.value.code
    assert code is None or isinstance(code, int), code
    return Done(code or 0, out.getvalue(), err.getvalue())


@contextmanager
def _streams(stdin: bytes, out: io.BytesIO, err: io.BytesIO, encoding: str) -> Iterator[None]:
    """Standard streams over these bytes; they are taken apart afterwards, so that the bytes outlive them."""
    kept = sys.stdin, sys.stdout, sys.stderr
    made = [io.TextIOWrapper(raw, encoding, newline="\n") for raw in (io.BytesIO(stdin), out, err)]
    sys.stdin, sys.stdout, sys.stderr = made
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept
        for stream in made:
            stream.detach()


@contextmanager
def _start_state(arguments: list[str]) -> Iterator[None]:
    """The arguments of a process, and what `main` changes for the rest of its process put back."""
    argv, collecting = sys.argv, gc.isenabled()
    sys.argv = ["optmap", *arguments]
    try:
        yield
    finally:
        sys.argv = argv
        if collecting:
            gc.enable()
