"""The programs that the pages show, and what they print: each is run in a process of its framework before it is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from optmap.mapping.frameworks import fill
from optmap.mapping.records import Literal
from optmap.mapping.sections import Api
from optmap.mapping.values import write_literal

LIMIT: Final = 600
"""Seconds for all programs of a framework."""

_RUNNER: Final = """
import contextlib, io, json, sys
answers = []
for program in json.load(sys.stdin):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(program, "example.py", "exec"), {"__name__": "example"})
        answers.append([out.getvalue(), ""])
    except Exception as error:
        answers.append(["", f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"])
json.dump(answers, sys.__stdout__)
"""


class Example(NamedTuple):
    """A program and what it printed; `problem` says why it could not be run."""

    program: str
    output: str = ""
    problem: str = ""


def program(api: Api, arguments: Mapping[str, Literal], *, sparse: bool = False) -> str:
    """The example program of a class's framework with a call; empty where the framework has none."""
    facts = api.framework.facts
    text = (sparse and facts.sparse_example) or facts.example
    given = [f"{key}={write_literal(value)}" for key, value in arguments.items()]
    first = [f"net.{facts.parameters.trainable}()"] if api.parameters_argument is not None else []
    return fill(text, call=f"{api.name}({', '.join([*first, *given])})") if text else ""


def run(programs: Sequence[str]) -> list[Example]:
    """Run the programs of one framework in a process, one after another; what fails costs its own output alone."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "GLOG_v": "4", "TF_ENABLE_ONEDNN_OPTS": "0"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RUNNER], input=json.dumps(programs), capture_output=True, text=True, timeout=LIMIT,
            check=True, env={**os.environ, **quiet},
        )  # fmt: skip
        answers = json.loads(done.stdout.rpartition("\n")[2])
    except (subprocess.SubprocessError, ValueError, OSError) as error:
        return [Example(text, problem=f"the process ended early ({type(error).__name__})") for text in programs]
    return [Example(text, *answer) for text, answer in zip(programs, answers, strict=True)]
