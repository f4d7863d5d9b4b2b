"""`optmap audit` from options to exit code, on made-up frameworks and on doctored copies of the tables."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from optmap.audit.results import Audit, Difference, DifferenceKind, FrameworkAudit, Unverified
from optmap.cli.audit import Request
from optmap.commands.audit import run
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.records import Position
from optmap.mapping.stored import default_directory
from optmap.report.audit_reports import AUDIT_FORMATS
from tests.audit.conftest import Interpreter

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def audit(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(
        frameworks: Sequence[str] = (), python: Sequence[str] = (), format: str = "text", mappings: Sequence[Path] = ()
    ) -> tuple[int, str, str]:
        code = run(Request(list(frameworks), list(python), format, list(mappings)))
        out, err = capsys.readouterr()
        return code, out, err

    return call


EDITS = [
    ("torch.optim.Adam", "lr", "default: 0.001", "default: 0.01",
     "parameter 'lr': the table has default 0.01; torch {torch} has default 0.001"),
    ("torch.optim.Adam", "weight_decay", "default: 0,", "default: 0.0,",
     "parameter 'weight_decay': the table has default 0.0; torch {torch} has default 0"),
    ("torch.optim.Adam", "foreach", "name: foreach,", "name: foreech,",
     "parameter 'foreech': the table has it with default None; torch {torch} does not take it"),
    ("tf.keras.optimizers.Adam", "beta_2", "default: 0.999", "default: 0.99",
     "parameter 'beta_2': the table has default 0.99; keras {keras} has default 0.999"),
    ("mindspore.nn.Adam", "use_locking", "default: false", "default: true",
     "parameter 'use_locking': the table has default True; mindspore {mindspore} has default False"),
    ("mindspore.nn.Adam", "use_lazy", "default: false", "default: true",
     "parameter 'use_lazy': the table has default True; mindspore {mindspore} has default False"),
]  # fmt: skip


@pytest.mark.parametrize("framework", list(Framework))
def test_a_doctored_table_against_the_real_framework(audit: Run, tmp_path: Path, framework: Framework) -> None:
    """Every doctored row is reported at its place, and nothing else is."""
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    tables = tmp_path / "tables"
    shutil.copytree(default_directory(), tables, ignore=shutil.ignore_patterns("*.json"))
    expected = set()
    for api, name, old, new, message in EDITS:
        section = load().apis[api]
        if section.framework is not framework:
            continue
        at = next(row.at for row in section.current if row.name == name)
        doctored = tables / Path(at.file).name
        lines = doctored.read_text(encoding="utf-8").splitlines(keepends=True)
        assert old in lines[at.line - 1]
        lines[at.line - 1] = lines[at.line - 1].replace(old, new)
        doctored.write_text("".join(lines), encoding="utf-8")
        package = message.partition("{")[2].partition("}")[0]
        installed = version(package).partition("+")[0]
        expected.add(f"{doctored}:{at.line}:{at.column}: {api}: {message.format(**{package: installed})}")
    code, out, err = audit([framework], mappings=[tables])
    assert (code, err) == (1, "")
    said = [item for item in out.splitlines() if item.startswith(f"{tables}/")]
    assert expected <= set(said)
    others = [item for item in said if item not in expected]
    # A row under another name leaves the real parameter without one.
    assert all("torch.optim.Adam: parameter 'foreach': " in item for item in others)
    assert len(others) == (1 if framework is Framework("torch") else 0)


def test_only_the_frameworks_named_are_audited(audit: Run, fake_torch: str) -> None:
    code, out, err = audit(["torch"], [f"torch={fake_torch}"], "json")
    document = json.loads(out)
    assert [item["framework"] for item in document["frameworks"]] == ["torch"]
    assert code == 1
    assert err == ""
    assert {item["kind"] for item in document["differences"]} == {"no such class", "no such module", "new class"}


def test_the_options_reach_the_command(fake_torch: str, tmp_path: Path) -> None:
    options = ["--framework", "torch", "--python", f"torch={fake_torch}", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "optmap", "audit", *options], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert json.loads(done.stdout)["frameworks"][0]["version"] == "1.5.0"


def absent(interpreter: Interpreter) -> str:
    program = interpreter(__init__="raise ModuleNotFoundError('no', name='torch')")
    return f"torch={program}"


def test_a_named_framework_must_be_installed(audit: Run, interpreter: Interpreter) -> None:
    code, out, err = audit(["torch"], [absent(interpreter)])
    assert (code, out) == (2, "torch: not audited: torch is not installed; pip install torch\n")
    assert err == "optmap: error: torch could not be audited: torch is not installed; pip install torch\n"


def test_nothing_is_installed(audit: Run, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch) -> None:
    program = interpreter(f'exec "{sys.executable}" -I -S "$@"')
    monkeypatch.setattr(sys, "executable", program)
    code, out, err = audit()
    assert code == 2
    assert out.count("is not installed") == err.count("is not installed") == 3


def test_another_framework_may_be_absent(
    audit: Run, fake_torch: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n', encoding="utf-8")
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    code, out, err = audit(python=[f"torch={fake_torch}"])
    assert (code, err) == (1, "")
    assert "mindspore: not audited: mindspore is not installed; pip install mindspore" in out


def test_a_framework_that_is_broken_fails_unnamed(
    audit: Run, interpreter: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = sys.executable
    interpreter(__init__="raise OSError(2)")
    program = interpreter(f'PYTHONPATH="{Path.cwd() / "site"}" exec "{python}" -S "$@"')
    monkeypatch.setattr(sys, "executable", program)
    code, out, err = audit()
    assert code == 2
    assert out.count("is not installed") == 2
    assert err.startswith("optmap: error: torch could not be audited: torch cannot be imported: OSError: 2\n")


USAGE: list[tuple[dict[str, Any], str]] = [
    ({"frameworks": ["jax"]}, "--framework: found 'jax', expected one of torch, tensorflow, mindspore"),
    ({"frameworks": ["auto"]}, "--framework: found 'auto', expected one of torch, tensorflow, mindspore"),
    ({"format": "xml"}, "--format: found 'xml', expected one of text, json, github"),
    ({"python": ["torch"]}, "--python: found 'torch', expected ENGINE=INTERPRETER"),
    ({"python": ["torch=/no/such/python"]}, "/no/such/python cannot be run"),
    ({"python": [f"jax={sys.executable}"]}, "--python: found 'jax', expected one of torch"),
    ({"frameworks": ["mindspore"], "python": [f"torch={sys.executable}"]}, "--python: found torch, which --framework does not name"),
    ({"mappings": [Path("/no/such")]}, "no table (*.yaml) found in this directory"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "message"), USAGE, ids=[message for _, message in USAGE])
def test_wrong_usage_is_a_message_and_exit_code_2(audit: Run, options: dict[str, Any], message: str) -> None:
    code, out, err = audit(**options)
    assert (code, out) == (2, "")
    assert message in err


def report() -> Audit:
    """One of everything."""
    at = Position("mappings/a,b.yaml", 3, 9)
    return Audit(
        (
            FrameworkAudit(
                Framework("torch"), "2.0.0", 2,
                (Difference(at, DifferenceKind.DEFAULT, "torch.optim.One", "lr", "the table has 50%", "torch 2.0.0 has 1"),),
                (Unverified("torch", "1.9.0", "2.0.0", 1),), ("mylib.optim is not audited: mylib is not installed",),
            ),
            FrameworkAudit(Framework("tensorflow"), failure="the worker ended\n    last words"),
            FrameworkAudit(Framework("mindspore"), failure="mindspore is not installed", installed=False),
        )
    )  # fmt: skip


def test_the_text() -> None:
    assert AUDIT_FORMATS["text"](report()).splitlines() == [
        "mappings/a,b.yaml:3:9: torch.optim.One: parameter 'lr': the table has 50%; torch 2.0.0 has 1",
        "torch 2.0.0: 2 sections, 1 difference",
        "torch 2.0.0: 1 section verified with torch 1.9.0; torch 2.0.0 is installed",
        "torch 2.0.0: mylib.optim is not audited: mylib is not installed",
        "tensorflow: not audited: the worker ended",
        "    last words",
        "mindspore: not audited: mindspore is not installed",
    ]


def test_the_json_is_the_contract() -> None:
    document = json.loads(AUDIT_FORMATS["json"](report()))
    assert list(document) == ["version", "frameworks", "differences", "summary"]
    assert document["summary"] == {"audited": 1, "differences": 1}
    assert document["differences"] == [
        {"kind": "default", "api": "torch.optim.One", "parameter": "lr", "table": "the table has 50%",
         "live": "torch 2.0.0 has 1", "file": "mappings/a,b.yaml", "line": 3, "column": 9,
         "message": "torch.optim.One: parameter 'lr': the table has 50%; torch 2.0.0 has 1"}
    ]  # fmt: skip
    assert document["frameworks"][0] == {
        "framework": "torch", "version": "2.0.0", "sections": 2, "called": 0,
        "unverified": [{"package": "torch", "verified": "1.9.0", "installed": "2.0.0", "sections": 1}],
        "notes": ["mylib.optim is not audited: mylib is not installed"], "failure": None,
    }  # fmt: skip


def test_github_commands_stay_on_one_line() -> None:
    lines = AUDIT_FORMATS["github"](report()).splitlines()
    assert lines[0] == (
        "::error file=mappings/a%2Cb.yaml,line=3,col=9,title=optmap audit%3A default::"
        "torch.optim.One: parameter 'lr': the table has 50%25; torch 2.0.0 has 1"
    )
    assert [line.partition(" ")[0] for line in lines[1:]] == ["::notice", "::notice", "::error", "::notice"]
    assert "%0A    last words" in lines[3]
