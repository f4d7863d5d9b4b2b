"""The command line's contract (design, section 5), from the outside: bytes, exit codes, files."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

import optmap
from tests.commandline import Done, command, run, start

GOOD = b"import torch\n\nopt = torch.optim.SGD(net.parameters(), lr=0.1)  # caf\xc3\xa9\n"
GOOD_AFTER = b"import mindspore\n\nopt = mindspore.nn.SGD(net.trainable_params(), learning_rate=0.1)  # caf\xc3\xa9\n"
WARNED = b"import torch\nopt = torch.optim.Adam(net.parameters(), weight_decay=0.1)\n"
REFUSED = b"import torch\nopt = torch.optim.Adam(net.parameters(), **options)\n"
BROKEN = b"import torch.optim\nprint 'hello'\n"
UNDECODABLE = b"import torch.optim\nx = '\xe9'\n"
PLAIN = b"import os\r\nprint(1)"
DONE = "1 call translated; nothing is left to do by hand: it can run\n"
KERAS = b"import keras\nopt = keras.optimizers.SGD(0.1)\n"


def put(directory: Path, **files: bytes) -> None:
    for name, content in files.items():
        path = directory / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


# One file and no mode


def test_one_file_goes_to_stdout_byte_for_byte(here: Path) -> None:
    put(here, a=GOOD)
    for way in (start, run):
        done = way("translate", "a.py", cwd=here)
        assert (done.code, done.out, done.err) == (0, GOOD_AFTER, f"a.py: {DONE}")
        assert way("translate", "a.py", "--quiet", cwd=here).err == ""
    assert contents(here) == {"a.py": GOOD}


@pytest.mark.parametrize(
    ("content", "code", "expected"),
    [
        (PLAIN, 0, None),
        (b"", 0, None),
        (REFUSED, 1, None),
        (BROKEN, 2, None),
        (UNDECODABLE, 2, None),
        (GOOD.decode().encode("utf-16"), 2, None),
        (GOOD.replace(b"\n", b"\r\n"), 0, GOOD_AFTER.replace(b"\n", b"\r\n")),
        (b"\xef\xbb\xbf" + GOOD.rstrip(), 0, b"\xef\xbb\xbf" + GOOD_AFTER.rstrip()),
        (
            b"# coding: latin-1\n" + GOOD.decode().encode("latin-1"),
            0,
            b"# coding: latin-1\n" + GOOD_AFTER.decode().encode("latin-1"),
        ),
    ],
)
def test_any_file_comes_out_whole(here: Path, content: bytes, code: int, expected: bytes | None) -> None:
    put(here, a=content)
    done = run("translate", "a.py", cwd=here)
    assert (done.code, done.out) == (code, content if expected is None else expected)
    if code:
        assert "\na.py:" in f"\n{done.err}"
    assert contents(here) == {"a.py": content}


def test_diagnostics_go_to_stderr_with_their_place(here: Path) -> None:
    put(here, a=WARNED)
    done = run("translate", "a.py", cwd=here)
    assert done.code == 0
    warnings = [line for line in done.err.splitlines() if ": warning " in line]
    assert len(warnings) == 1
    assert warnings[0].startswith("a.py:2:7: warning OM111 ")
    assert "--prefer faithful" in warnings[0]
    assert "mappings/adam.yaml:" not in done.err
    assert "mappings/adam.yaml:" in run("translate", "a.py", "--verbose", cwd=here).err


def test_stdin(here: Path) -> None:
    for way in (start, run):
        done = way("translate", "-", cwd=here, stdin=GOOD)
        assert (done.code, done.out, done.err) == (0, GOOD_AFTER, f"<stdin>: {DONE}")
    refused = run("translate", "-", cwd=here, stdin=REFUSED)
    assert (refused.code, refused.out) == (1, REFUSED)
    assert refused.err.startswith("To do by hand:\n<stdin>:2:")
    assert run("translate", "-", "--check", cwd=here, stdin=GOOD).code == 1
    assert run("translate", "-", "--output", "out.py", cwd=here, stdin=GOOD).out == b""
    assert contents(here) == {"out.py": GOOD_AFTER}
    diff = run("translate", "-", "--diff", cwd=here, stdin=GOOD).out
    assert diff.count(b"\n+opt = mindspore.nn.SGD") == 1


# Modes


def test_write(here: Path) -> None:
    put(here, a=GOOD, b=REFUSED, c=PLAIN)
    (here / "a.py").chmod(0o750)
    before = (here / "c.py").stat().st_mtime_ns
    done = run("translate", "a.py", "b.py", "c.py", "--write", cwd=here)
    assert (done.code, done.out) == (1, b"")
    assert contents(here) == {"a.py": GOOD_AFTER, "b.py": REFUSED, "c.py": PLAIN}
    assert stat.S_IMODE((here / "a.py").stat().st_mode) == 0o750
    assert (here / "c.py").stat().st_mtime_ns == before
    assert run("translate", "a.py", "--write", cwd=here).code == 0
    assert (here / "a.py").read_bytes() == GOOD_AFTER


def test_a_read_only_file_is_reported_and_the_rest_is_written(here: Path) -> None:
    put(here, a=GOOD, b=GOOD)
    (here / "a.py").chmod(0o444)
    done = run("translate", "a.py", "b.py", "--write", cwd=here)
    assert done.code == 2
    assert "a.py:1:1: error OM001" in done.err
    assert "read-only" in done.err
    assert contents(here) == {"a.py": GOOD, "b.py": GOOD_AFTER}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", GOOD),
        ("with space.py", GOOD),
        ("dir/deep er/é.py", GOOD),
        ("quote'\".py", GOOD),
        ("a.py", GOOD.rstrip()),
        ("a.py", GOOD.replace(b"\n", b"\r\n")),
        ("a.py", b"\xef\xbb\xbf" + GOOD),
        ("a.py", b"\x0c" + GOOD + b"x = 1\n" * 20 + GOOD.replace(b"import torch\n", b"")),
        ("a.py", b"# coding: latin-1\n" + GOOD.decode().encode("latin-1")),
        ("a.py", b"s = 'a\\\n\\ No newline'\n" + GOOD),
    ],
)
def test_a_diff_that_git_applies(here: Path, name: str, content: bytes) -> None:
    path = here / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    whole = run("translate", name, cwd=here).out
    done = run("translate", name, "--diff", cwd=here)
    assert done.code == 0
    assert whole != content == path.read_bytes()
    applied = subprocess.run(
        ["git", "apply", "--unsafe-paths", "-"], input=done.out, cwd=here, capture_output=True, check=False
    )
    assert applied.returncode == 0, applied.stderr
    assert path.read_bytes() == whole


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_diff_of_a_file_with_lone_returns(here: Path) -> None:
    put(here, a=GOOD.replace(b"\n", b"\r"))
    done = run("translate", "a.py", "--diff", cwd=here)
    applied = subprocess.run(["git", "apply", "-"], input=done.out, cwd=here, capture_output=True, check=False)
    assert applied.returncode == 0, applied.stderr
    assert (here / "a.py").read_bytes() == GOOD_AFTER.replace(b"\n", b"\r")


def test_a_directory_or_several_paths_are_shown_as_a_diff(here: Path) -> None:
    put(here, d__a=GOOD, d__b=PLAIN, d__e__c=GOOD)
    for paths in (["d"], ["d/a.py", "d/b.py", "d/e/c.py"], ["d/a.py", "d"]):
        done = run("translate", *paths, cwd=here)
        assert done.code == 0
        assert done.out.count(b"--- a/d/") == done.out.count(b"+++ b/d/") == 2
        assert b"+++ b/d/a.py" in done.out
        assert b"+++ b/d/e/c.py" in done.out
    assert contents(here) == {"d/a.py": GOOD, "d/b.py": PLAIN, "d/e/c.py": GOOD}


def test_check_says_what_would_change(here: Path) -> None:
    put(here, a=GOOD, b=PLAIN)
    done = run("translate", "a.py", "b.py", "--check", cwd=here)
    assert (done.code, done.out) == (1, b"would change a.py\n")
    assert run("translate", "b.py", "--check", cwd=here).code == 0
    assert contents(here) == {"a.py": GOOD, "b.py": PLAIN}


def test_output_to_a_file(here: Path) -> None:
    put(here, a=GOOD, b=PLAIN)
    assert run("translate", "a.py", "--output", "new/x.py", cwd=here).code == 0
    assert run("translate", "b.py", "--output", "new/y.py", cwd=here).code == 0
    assert contents(here) == {"a.py": GOOD, "b.py": PLAIN, "new/x.py": GOOD_AFTER, "new/y.py": PLAIN}


def test_output_to_a_directory(here: Path) -> None:
    put(here, src__a=GOOD, src__p__b=PLAIN, src__p__c=REFUSED, src__d=BROKEN, other__a=GOOD)
    (here / "src" / "data.txt").write_text("x", encoding="utf-8")
    assert run("translate", "src", "--output", "one", cwd=here).code == 2
    assert contents(here / "one") == {"a.py": GOOD_AFTER, "d.py": BROKEN, "p/b.py": PLAIN, "p/c.py": REFUSED}
    assert run("translate", "src/p", "other", "--output", "two", cwd=here).code == 1
    assert contents(here / "two") == {"other/a.py": GOOD_AFTER, "p/b.py": PLAIN, "p/c.py": REFUSED}
    (here / "three").mkdir()
    assert run("translate", "src/a.py", "--output", "three", cwd=here).code == 0
    assert contents(here / "three") == {"a.py": GOOD_AFTER}
    assert contents(here / "src")["a.py"] == GOOD


def test_two_results_for_one_output(here: Path) -> None:
    put(here, x__a=GOOD, y__a=PLAIN)
    done = run("translate", "x/a.py", "y/a.py", "--output", "out", cwd=here)
    assert done.code == 2
    assert contents(here / "out") == {"a.py": GOOD_AFTER}


def test_output_that_cannot_be_written(here: Path) -> None:
    put(here, a=GOOD, b=PLAIN)
    done = run("translate", "a.py", "--output", "b.py/x.py", cwd=here)
    assert done.code == 2
    assert "a.py" in done.err
    assert contents(here) == {"a.py": GOOD, "b.py": PLAIN}


# JSON


def test_json(here: Path) -> None:
    text = (
        "é = 1; import torch\né, opt = 1, torch.optim.AdamW(net.parameters(), lr=0.1)\n"
        "torch.optim.Adam(**é)\ntorch.optim.Adam(p)  # optmap: ignore\n"
    )
    put(here, a=text.encode(), b=BROKEN, c=PLAIN)
    done = run("translate", "a.py", "b.py", "c.py", "missing.py", "--format", "json", cwd=here)
    assert done.code == 2
    document = done.json()
    assert set(document) == {"version", "files", "summary"}
    assert document["version"] == 1
    files = document["files"]
    assert [item["path"] for item in files] == ["a.py", "b.py", "c.py", "missing.py"]
    for item in files:
        assert set(item) == {"path", "changed", "error", "calls", "diagnostics", "edits", "left"}
        assert all(set(call) == {"line", "column", "source", "target", "status"} for call in item["calls"])
        assert all(
            set(each)
            == {
                "code",
                "severity",
                "message",
                "line",
                "column",
                "end_line",
                "end_column",
                "table",
                "replacement",
                "detail",
            }
            for each in item["diagnostics"]
        )
        assert all(each["severity"] in ("error", "warning", "info") for each in item["diagnostics"])
    assert files[0]["calls"] == [
        {
            "line": 2,
            "column": 13,
            "source": "torch.optim.AdamW",
            "target": "mindspore.experimental.optim.AdamW",
            "status": "translated",
        },
        {"line": 3, "column": 1, "source": "torch.optim.Adam", "target": None, "status": "refused"},
        {"line": 4, "column": 1, "source": "torch.optim.Adam", "target": None, "status": "unchanged"},
    ]
    refusal = next(item for item in files[0]["diagnostics"] if item["severity"] == "error")
    assert (refusal["code"], refusal["line"], refusal["column"]) == ("OM203", 3, 18)
    assert (refusal["end_line"], refusal["end_column"]) == (3, 21)
    assert refusal["table"].startswith("mappings/adam.yaml:")
    assert [(item["code"], item["line"], item["lines"]) for item in files[0]["left"]] == [("OM203", 3, [3])]
    assert [item["changed"] for item in files] == [True, False, False, False]
    assert [item["error"] is None for item in files] == [True, False, True, False]
    assert files[1]["diagnostics"][0]["code"] == "OM003"
    assert files[3]["diagnostics"][0]["code"] == "OM001"
    summary = document["summary"]
    assert {key: summary[key] for key in ("files", "changed", "failed", "translated", "refused", "unchanged")} == {
        "files": 4,
        "changed": 1,
        "failed": 2,
        "translated": 1,
        "refused": 1,
        "unchanged": 1,
    }
    assert contents(here)["a.py"] == text.encode()


def test_json_writes_only_where_told(here: Path) -> None:
    put(here, a=GOOD)
    assert run("translate", "a.py", "--format", "json", cwd=here).code == 0
    assert contents(here) == {"a.py": GOOD}
    assert (
        run("translate", "a.py", "--format", "json", "--output", "b.py", cwd=here).json()["files"][0]["changed"] is True
    )
    assert contents(here) == {"a.py": GOOD, "b.py": GOOD_AFTER}
    assert run("translate", "a.py", "--format", "json", "--write", cwd=here).json()["summary"]["changed"] == 1
    assert contents(here) == {"a.py": GOOD_AFTER, "b.py": GOOD_AFTER}


def test_json_with_other_modes(here: Path) -> None:
    put(here, a=GOOD)
    for mode, code in (("--diff", 0), ("--check", 1)):
        done = run("translate", "a.py", "--format", "json", mode, cwd=here)
        assert done.code == code
        assert done.json()["summary"]["changed"] == 1


# Exit codes


@pytest.mark.parametrize(
    ("files", "arguments", "code"),
    [
        ({"a": GOOD}, (), 0),
        ({"a": PLAIN}, (), 0),
        ({"a": WARNED}, (), 0),
        ({"a": WARNED}, ("--strict",), 1),
        ({"a": GOOD}, ("--strict",), 0),
        ({"a": REFUSED}, (), 1),
        ({"a": BROKEN}, (), 2),
        ({"a": UNDECODABLE}, (), 2),
        ({"a": GOOD, "b": PLAIN}, (), 0),
        ({"a": GOOD, "b": REFUSED}, (), 1),
        ({"a": GOOD, "b": BROKEN}, (), 2),
        ({"a": REFUSED, "b": BROKEN}, (), 2),
        ({"a": BROKEN, "b": REFUSED, "c": GOOD}, ("--check",), 2),
        ({"a": GOOD, "b": PLAIN}, ("--check",), 1),
        ({"a": WARNED, "b": PLAIN}, ("--strict", "--diff"), 1),
        ({"a": KERAS}, (), 1),
        ({"a": KERAS}, ("--params", "net.trainable_params()"), 0),
        ({"a": KERAS}, ("--from", "torch"), 0),
        ({"a": GOOD}, ("--from", "tensorflow", "--check"), 0),
        ({"a": WARNED}, ("--faithful", "--strict"), 0),
        ({"a": WARNED}, ("--prefer", "faithful", "--strict"), 0),
        ({"a": WARNED}, ("--prefer", "faithful", "--faithful", "--strict"), 0),
        ({"a": WARNED}, ("--prefer", "documented", "--faithful"), 2),
        ({"a": WARNED}, ("--prefer", "usual"), 2),
        ({"a": WARNED}, ("--from", "torch==1.13"), 0),
        ({"a": WARNED}, ("--from", "torch==9.9"), 2),
        ({"a": WARNED}, ("--from", "torch==1.7.1"), 2),
        ({"a": WARNED}, ("--to", "mindspore==1.9"), 2),
        ({"a": KERAS}, ("--from", "keras==0.1"), 2),
        ({"a": KERAS}, ("--from", "tensorflow==1.12"), 2),
    ],
)
def test_exit_codes(here: Path, files: dict[str, bytes], arguments: Sequence[str], code: int) -> None:
    put(here, **files)
    assert run("translate", *(f"{name}.py" for name in files), *arguments, cwd=here).code == code


@pytest.mark.parametrize(("content", "code"), [(GOOD, 0), (REFUSED, 1), (BROKEN, 2)])
def test_a_process_ends_with_the_code(here: Path, content: bytes, code: int) -> None:
    put(here, a=content)
    assert start("translate", "a.py", "--check", cwd=here).code == (code or 1)
    assert start("translate", "a.py", cwd=here).code == code


def test_a_file_that_cannot_be_used_never_stops_the_others(here: Path) -> None:
    put(here, a=BROKEN, b=UNDECODABLE, c=GOOD)
    (here / "gone.py").symlink_to("nowhere")
    os.mkfifo(here / "pipe.py")
    (here / "dir.py").mkdir()
    done = run("translate", "a.py", "missing", "b.py", "gone.py", "pipe.py", "dir.py", "c.py", "--write", cwd=here)
    assert done.code == 2
    for name, code in (
        ("a.py", "OM003"),
        ("missing", "OM001"),
        ("b.py", "OM002"),
        ("gone.py", "OM001"),
        ("pipe.py", "OM001"),
    ):
        assert any(line.startswith(f"{name}:") and code in line for line in done.err.splitlines()), (name, done.err)
    assert (here / "c.py").read_bytes() == GOOD_AFTER


def test_a_file_that_is_no_python(here: Path) -> None:
    (here / "README.md").write_text("Use `torch.optim.Adam(net.parameters())` here.\n", encoding="utf-8")
    done = run("translate", "README.md", cwd=here)
    assert done.code == 2
    assert done.err.startswith("README.md:1:1: error OM003 not Python: expected a file such as .py, .pyi, .ipynb\n")


def test_a_shell_completes_names(here: Path) -> None:
    for words, number, expected in (("optmap tr", 1, "translate"), ("optmap explain Adam --to tens", 4, "tensorflow")):
        given = {"_OPTMAP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
        program = "import sys; sys.argv[0] = 'optmap'; from optmap.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=here,
            capture_output=True,
            text=True,
            env={**os.environ, **given},
            check=False,
        )
        assert done.stdout.split() == [expected]


def test_a_file_that_cannot_be_read(here: Path) -> None:
    put(here, b=GOOD)
    if os.geteuid():
        put(here, a=GOOD)
        (here / "a.py").chmod(0)
    else:  # Root may read whatever has permissions; nobody may read where a process maps nothing.
        (here / "a.py").symlink_to("/proc/self/mem")
    done = run("translate", "a.py", "b.py", "--write", cwd=here)
    assert done.code == 2
    assert "a.py:1:1: error OM001" in done.err
    assert (here / "b.py").read_bytes() == GOOD_AFTER


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("translate", "a.py", "--write", "--diff"), ("--write", "--diff", "at most one")),
        (("translate", "a.py", "--check", "--output", "x"), ("--check", "--output")),
        (("translate", "a.py", "--to", "jax"), ("--to", "'jax'", "torch, tensorflow, mindspore")),
        (("translate", "a.py", "--from", "tourch"), ("--from", "'tourch'", "torch")),
        (("translate", "a.py", "--from", "torch", "--to", "torch"), ("torch", "two different")),
        (("translate", "a.py", "--from", "mindspore"), ("mindspore", "two different")),
        (("translate", "a.py", "--format", "yaml"), ("--format", "'yaml'", "text, json")),
        (("translate", "a.py", "--params", "a, b"), ("--params", "'a, b'")),
        (("translate", "a.py", "--params", "a +"), ("--params",)),
        (("translate", "a.py", "--params", "a) + (b"), ("--params",)),
        (("translate", "a.py", "--params", "x=1"), ("--params",)),
        (("translate", "a.py", "--params", "*a"), ("--params",)),
        (("translate", "a.py", "--params", "a # b"), ("--params",)),
        (("translate", "a.py", "--params", "a\nb"), ("--params",)),
        (("translate", "a.py", "--params", ""), ("--params",)),
        (("translate", "a.py", "--params", " "), ("--params",)),
        (("translate", "a.py", "--mappings", "nowhere"), ("nowhere", "no table")),
        (("translate", "a.py", "--jobs", "-1"), ("--jobs",)),
        (("translate", "a.py", "--jobs", "two"), ("--jobs",)),
        (("translate", "a.py", "--nonsense"), ("--nonsense",)),
        (("translate", "a.py", "--output", ""), ("--output",)),
        (("translate", "-", "a.py"), ("standard input",)),
        (("translate", "-", "--write"), ("standard input",)),
        (("translate",), ()),
        (("transalte", "a.py"), ()),
        (("explain", "torch.optim.Adamm"), ("'torch.optim.Adamm'", "torch.optim.Adam")),
        (("explain", "Nonsense"), ("'Nonsense'",)),
        (("explain", "Adam", "--to", "jax"), ("'jax'",)),
        (("explain", "torch.optim.Adam", "--to", "torch"), ("torch",)),
        (("explain", "Adam", "--format", "xml"), ("'xml'",)),
        (("explain", ""), ()),
        (("list", "--from", "jax"), ("'jax'",)),
        (("list", "--format", "xml"), ("'xml'",)),
        (("rules", "OM999"), ("OM999",)),
        (("rules", "no-countrpart"), ("no-counterpart",)),
        (("rules", "--format", "xml"), ("'xml'",)),
    ],
)
def test_wrong_usage(here: Path, arguments: Sequence[str], fragments: Sequence[str]) -> None:
    put(here, a=GOOD)
    done = run(*arguments, cwd=here)
    assert done.code == 2
    assert done.out == b""
    for fragment in fragments:
        assert fragment in done.err
    assert contents(here) == {"a.py": GOOD}


def test_an_error_in_the_tables_names_its_place(here: Path) -> None:
    put(here, a=GOOD)
    (here / "tables").mkdir()
    (here / "tables" / "x.yaml").write_text("nonsense: 1\ntraits: []\n", encoding="utf-8")
    done = run("translate", "a.py", "--mappings", "tables", cwd=here)
    assert (done.code, done.out) == (2, b"")
    assert "tables/x.yaml:1:1: unknown key 'nonsense'" in done.err
    assert "tables/x.yaml:2:9: found a list" in done.err


# Settings and comments


def test_settings_are_defaults(here: Path) -> None:
    put(here, a=WARNED, b=KERAS, skip__c=BROKEN)
    settings = "[tool.optmap]\nstrict = true\nparams = 'net.trainable_params()'\nexclude = ['skip/']\n"
    (here / "pyproject.toml").write_text(settings, encoding="utf-8")
    assert run("translate", "a.py", cwd=here).code == 1
    assert b"net.trainable_params()" in run("translate", "b.py", cwd=here).out
    assert b"other()" in run("translate", "b.py", "--params", "other()", cwd=here).out
    assert run("translate", ".", cwd=here).code == 1
    (here / "pyproject.toml").write_text("[tool.optmap]\nto = 'tensorflow'\nfrom = 'torch'\n", encoding="utf-8")
    assert b"tf.keras.optimizers.SGD(learning_rate=0.1)" in run("translate", "-", cwd=here, stdin=GOOD).out.replace(
        b"tensorflow.keras", b"tf.keras"
    )
    assert run("translate", "-", "--to", "mindspore", cwd=here, stdin=GOOD).out == GOOD_AFTER


def test_settings_that_are_wrong(here: Path) -> None:
    put(here, a=GOOD)
    (here / "pyproject.toml").write_text("[tool.optmap]\nstrikt = true\n", encoding="utf-8")
    done = run("translate", "a.py", cwd=here)
    assert (done.code, done.out) == (2, b"")
    assert "unknown key 'strikt'; did you mean 'strict'?" in done.err
    (here / "pyproject.toml").write_text("[tool.optmap]\nto = 'torch'\n", encoding="utf-8")
    assert run("translate", "a.py", "--from", "torch", cwd=here).code == 2


def test_tables_of_the_users(here: Path) -> None:
    (here / "tables").mkdir()
    table = """\
algorithm: lion
apis:
  torch.optim.Lion: {verified: "1", parameters: [{name: params, is: parameters}, {name: lr, is: learning_rate, default: 0.1}]}
  mindspore.nn.Lion: {verified: "1", parameters: [{name: params, is: parameters}, {name: rate, is: learning_rate, default: 0.2}]}
"""
    (here / "tables" / "lion.yaml").write_text(table, encoding="utf-8")
    source = b"import torch\nx = torch.optim.Lion(net.parameters())\n"
    expected = b"import mindspore\nx = mindspore.nn.Lion(net.trainable_params(), rate=0.1)\n"
    assert run("translate", "-", cwd=here, stdin=source).code == 1
    assert run("translate", "-", "--mappings", "tables", cwd=here, stdin=source).out == expected
    (here / "sub").mkdir()
    (here / "pyproject.toml").write_text("[tool.optmap]\nmappings = ['tables']\n", encoding="utf-8")
    assert run("translate", "-", cwd=here / "sub", stdin=source).out == expected
    put(here, sub__a=source, sub__b=source)
    assert start("translate", "sub", "--jobs", "2", "--write", cwd=here).code == 0
    assert contents(here / "sub") == {"a.py": expected, "b.py": expected}
    assert b"mindspore.nn.Lion" in run("explain", "torch.optim.Lion", cwd=here).out


def test_ignore_comments(here: Path) -> None:
    text = (
        "import torch\na = torch.optim.SGD(p, lr=0.1)  # optmap: ignore\nb = torch.optim.SGD(  # optmap: ignore\n    p, lr=0.1)\n"
        "c = torch.optim.SGD(p, lr=0.1)  # optmap: ignore[OM2]\n"
        "d = torch.optim.AdamW(net.parameters())  # optmap: ignore[other-class-chosen]\n"
        "e = torch.optim.SGD(net.parameters(), lr=0.1)  # optmap: ignore[OM999, no-countrpart]\n"
    )
    put(here, a=text.encode())
    done = run("translate", "a.py", "--verbose", cwd=here)
    lines = done.out.decode().splitlines()
    assert [line.startswith(f"{name} = torch") for name, line in zip("ab", lines[2:4], strict=True)] == [True, True]
    assert "c = mindspore.nn.SGD(" in done.out.decode()
    assert "OM103" not in done.err
    assert "OM009 ignore[OM2] silences nothing on this line" in done.err
    assert "OM008 ignore[OM999]: there is no such code" in done.err
    assert "OM008 ignore[no-countrpart]: there is no such code" in done.err
    assert (done.code, run("translate", "a.py", "--strict", cwd=here).code) == (0, 1)


def test_an_unused_ignore_keeps_no_result_from_running(here: Path) -> None:
    call = f"opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum={'0' * 50}.9)"
    put(here, a=f"import torch\n{call}  # optmap: ignore[OM203]\n".encode())
    done = run("translate", "a.py", "--todo", cwd=here)
    assert "OM009 ignore[OM203] silences nothing on this line" in done.err
    assert "before it can run" not in done.err
    assert "TODO" not in done.out.decode()
    source, mark = next(pair for pair in pairwise(done.err.splitlines()) if "# optmap: ignore[OM203" in pair[0])
    assert source[mark.index("^") :].startswith("OM203")
    assert "momentum=" in source  # and not only what stands behind


def test_a_view_of_what_is_left(here: Path) -> None:
    """Each thing once with all its lines, by what it asks of the reader, the place marked, and a verdict."""
    steps = "opt.zero_grad()\nloss = f(net(x))\nloss.backward(retain_graph=True)\nopt.step()\n"
    text = f"import torch\nnet = torch.nn.Linear(2, 3)\nopt = torch.optim.Adam(net.parameters())\n{steps}"
    text += "a = torch.optim.SGD(**b)\ntorch.optim.SGD(**b)\n"
    put(here, a=text.encode())
    done = run("translate", "a.py", cwd=here)
    lines = done.err.splitlines()
    assert [line for line in lines if re.fullmatch(r"\w.*:", line)] == ["To do by hand:", "Behaves differently:"]
    refused = next(number for number, line in enumerate(lines) if "OM203" in line)
    assert lines[refused].startswith("a.py:8:21: error OM203 ")
    assert lines[refused].endswith(" (also on line 9)")
    assert lines[refused + 1 : refused + 3] == ["    8 | a = torch.optim.SGD(**b)", "      |                     ^~~"]
    assert sum("OM203" in line for line in lines) == 1
    assert lines[-1].startswith("a.py: 1 call translated, 2 refused; ")
    assert "before it can run" in lines[-1]


def test_rules_are_selected(here: Path) -> None:
    put(here, a=WARNED, d__b=WARNED)
    assert run("translate", "a.py", "--strict", cwd=here).code == 1
    for option in ("--ignore=OM111", "--ignore=numeric-difference,OM2", "--select=OM2"):
        done = run("translate", "a.py", "--strict", option, cwd=here)
        assert done.code == 0
        assert "OM111" not in done.err
    assert "OM111" in run("translate", "a.py", "--select", "om1", cwd=here).err
    for wrong in ("OM999", "", "OM"):
        done = run("translate", "a.py", "--ignore", wrong, cwd=here)
        assert (done.code, done.out) == (2, b"")
        assert f"--ignore: found {wrong!r}" in done.err
    assert "OM001" in run("translate", "none.py", "--select", "OM2", cwd=here).err
    (here / "pyproject.toml").write_text('[tool.optmap.per-file-ignores]\n"d/" = ["OM111"]\n', encoding="utf-8")
    shown = run("translate", ".", cwd=here).err
    assert "\na.py:2:7: warning OM111" in shown
    assert "d/b.py:2:7: warning OM111" not in shown


def test_how_much_is_said(here: Path) -> None:
    put(here, a=WARNED, b=REFUSED, d__c=BROKEN)
    done = run("translate", "a.py", "b.py", "--statistics", cwd=here)
    assert "      1  OM203  error    unpacked-arguments" in done.err.splitlines()
    quiet = run("translate", "a.py", "b.py", "--quiet", cwd=here).err.splitlines()
    assert [line.split()[:3] for line in quiet if line.startswith(("a.py", "b.py", "optmap"))] == [
        ["b.py:2:42:", "error", "OM203"]
    ]
    assert run("translate", ".", "--exclude", "d/", cwd=here).code == 1
    assert run("translate", ".", cwd=here).code == 2
    assert run("translate", "a.py", "--quiet", "--verbose", cwd=here).code == 2


def test_colours_where_they_are_wanted(here: Path) -> None:
    put(here, a=WARNED)
    for environment, coloured in (
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({}, False),
    ):
        done = start("translate", "a.py", "--diff", cwd=here, env={"FORCE_COLOR": "", "NO_COLOR": "", **environment})
        assert (b"\x1b[32m+" in done.out, "\x1b[" in done.err) == (coloured, coloured)


# Several processes


def test_two_processes_give_what_one_gives(here: Path) -> None:
    put(
        here,
        d__a=GOOD,
        d__b=PLAIN,
        d__c=REFUSED,
        d__d=BROKEN,
        d__e=WARNED,
        d__f=UNDECODABLE,
        d__g=b"",
        d__h=b"import torch.optim\r\n",
    )
    for arguments in (
        ["d"],
        ["d", "--check"],
        ["d", "--format", "json"],
        ["d/b.py"],
        ["d/a.py"],
        ["d/c.py", "d/h.py", "--diff"],
        ["d/d.py"],
    ):
        one, two = (way("translate", *arguments, "--jobs", jobs, cwd=here) for way, jobs in ((run, "1"), (start, "2")))
        assert (one.code, one.out, one.err) == (two.code, two.out, two.err), arguments
    for jobs in ("1", "2"):
        start("translate", "d", "--output", f"out{jobs}", "--jobs", jobs, cwd=here)
    assert contents(here / "out1") == contents(here / "out2")
    assert contents(here / "out1") == {
        **contents(here / "d"),
        "a.py": GOOD_AFTER,
        "e.py": contents(here / "out1")["e.py"],
    }
    start("translate", "d", "--write", "--jobs", "0", cwd=here)
    assert contents(here / "d") == contents(here / "out1")


# Odd surroundings


def test_help_and_version(here: Path) -> None:
    for way in (start, run):
        done = way("--version", cwd=here)
        assert (done.code, done.err) == (0, "")
        own, tables, installed = done.out.decode().splitlines()
        assert own == f"optmap {optmap.__version__}"
        assert re.fullmatch(r"tables: torch [\d.]+ to [\d.]+, tensorflow .*, keras .*, mindspore .*", tables)
        assert installed.startswith("installed: ")
    for arguments in (["--help"], ["-h"], *([name, "--help"] for name in ("translate", "explain", "list", "rules"))):
        done = run(*arguments, cwd=here)
        assert done.code == 0
        assert b"Usage" in done.out
    shown = run("translate", "--help", cwd=here).out.decode()
    assert "--to [torch|tensorflow|mindspore]" in shown
    assert "--format [text|json|sarif|github]" in shown
    assert "\n    optmap translate src/ --to torch --diff\n" in shown
    assert run(cwd=here).code in (0, 2)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["translate", "--help"]])
def test_what_needs_no_table_imports_next_to_nothing(here: Path, arguments: list[str]) -> None:
    program = (
        "import sys\nsys.argv[1:] = sys.argv[1:]\nfrom optmap.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint('\\n' + ' '.join(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=here, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "optmap.cli" in loaded
    heavy = {
        "numpy",
        "torch",
        "tensorflow",
        "keras",
        "mindspore",
        "yaml",
        "pathspec",
        "tomllib",
        "multiprocessing",
        "optmap.mapping.load",
    }
    assert not loaded & heavy


def test_translating_imports_no_framework(here: Path) -> None:
    put(here, a=GOOD)
    program = (
        "import sys\nfrom optmap.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write(' '.join(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "translate", "a.py"], cwd=here, capture_output=True, text=True, check=True
    )
    assert done.stdout.encode() == GOOD_AFTER
    assert not set(done.stderr.split()) & {"numpy", "torch", "tensorflow", "keras", "mindspore", "rich.console"}


def test_importing_the_package_is_cheap() -> None:
    program = (
        "import sys, optmap; print([name for name in sys.modules if name.startswith(('optmap.', 'yaml', 'numpy'))])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_names_that_are_not_text(here: Path) -> None:
    name = b"\xff\xe9.py"
    try:
        (here / os.fsdecode(name)).write_bytes(GOOD)
    except OSError:
        pytest.skip("the file system takes only text as names")
    put(here, z=REFUSED)
    for arguments in (
        [name],
        [b".", "--check"],
        [b".", "--diff"],
        [name, "--format", "json"],
        [b".", "--format", "json"],
    ):
        assert run("translate", *arguments, cwd=here).code in (0, 1)
    assert start("translate", name, "--write", cwd=here).code == 0
    assert (here / os.fsdecode(name)).read_bytes() == GOOD_AFTER


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_output_in_another_encoding(here: Path, encoding: str) -> None:
    name = "naïve-日本.py"
    (here / name).write_bytes(GOOD + b"torch.optim.Adam(**x)\n")
    assert start("translate", name, cwd=here, env={"PYTHONIOENCODING": encoding}).code == 1
    assert run("translate", name, cwd=here, encoding=encoding).code == 1
    assert run("translate", name, "--check", cwd=here, encoding=encoding).code == 1
    done = run("translate", name, "--format", "json", cwd=here, encoding=encoding)
    assert done.code == 1
    try:
        text = done.out.decode(encoding)
    except UnicodeDecodeError:
        text = done.out.decode("utf-8")
    assert json.loads(text)["files"][0]["changed"] is True
    assert run("explain", "torch.optim.Adam", cwd=here, encoding=encoding).code == 0
    assert run("list", cwd=here, encoding=encoding).code == 0
    assert run("rules", cwd=here, encoding=encoding).code == 0


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&-"])
@pytest.mark.parametrize("arguments", ["translate a.py", "translate a.py --format json", "translate - < a.py", "list"])
def test_streams_that_are_closed(here: Path, redirection: str, arguments: str) -> None:
    put(here, a=WARNED)
    shell = f"{sys.executable} -m optmap {arguments} {redirection}"
    done = subprocess.run(["sh", "-c", shell], cwd=here, capture_output=True, timeout=60, check=False)
    Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize(
    "arguments",
    ["translate a.py", "translate a.py --diff", "translate a.py --format json", "list", "rules", "explain Adam"],
)
def test_a_disk_that_is_full(here: Path, arguments: str) -> None:
    put(here, a=GOOD)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m optmap {arguments} > /dev/full"],
        cwd=here,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize(
    "arguments", [["translate", "a.py"], ["translate", ".", "--diff"], ["list"], ["rules"], ["explain", "Adam"]]
)
def test_a_reader_that_goes_away(here: Path, arguments: list[str]) -> None:
    put(here, a=GOOD + b"x = 1\n" * 40_000, **{f"b{n}": GOOD for n in range(60)})
    process = subprocess.Popen(command(*arguments), cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read().decode()
    process.wait(timeout=60)
    assert "Traceback" not in error, error
    assert "Exception ignored" not in error, error
    assert "BrokenPipe" not in error, error
    assert process.returncode in (141, 2, 1, 0, -signal.SIGPIPE)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process does, on a machine that may be busy."""
    for _ in range(600):
        time.sleep(0.05)
        if condition():
            return
    raise AssertionError("nothing happened within 30 seconds")


def status(process: int) -> tuple[str, float]:
    """The state of a process, and the seconds that it has computed for."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waits(process: int) -> bool:
    """Whether a process waits for its standard input: it sleeps in a system call on file 0."""
    call = Path(f"/proc/{process}/syscall").read_text().split()
    return status(process)[0] == "S" and call[1:2] == ["0x0"]


def work(process: int) -> bool:
    """Whether the two workers of a process are behind their start."""
    workers = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return len(workers) == 2 and all(status(int(worker))[1] > 0.4 for worker in workers)


@pytest.mark.skipif(not os.access("/proc/self/syscall", os.R_OK), reason="nothing tells what a process waits for")
def test_an_interruption(here: Path) -> None:
    process = subprocess.Popen(
        command("translate", "-"), cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_until(lambda: waits(process.pid))
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert b"Traceback" not in error, error
    assert (process.returncode, out) == (130, b"")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
def test_an_interruption_of_several_processes(here: Path) -> None:
    put(here, **{f"d__a{n}": GOOD + b"y = torch.nn.functional.relu(x)\n" * 3000 for n in range(100)})
    before = contents(here)
    process = subprocess.Popen(
        command("translate", "d", "--write", "--jobs", "2"),
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_until(lambda: work(process.pid))
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert b"Traceback" not in error, error[-2000:]
    assert process.returncode in (0, 130)
    after = contents(here)
    assert after.keys() == before.keys()
    old, new = (
        b"torch.optim.SGD(net.parameters(), lr=0.1)",
        b"mindspore.nn.SGD(net.trainable_params(), learning_rate=0.1)",
    )
    for name, content in after.items():
        assert content in (before[name], b"import mindspore\n" + before[name].replace(old, new))


@pytest.mark.parametrize(
    "arguments",
    [["translate", "a[b].py"], ["translate", "a[b].py", "--diff"], ["list"], ["explain", "Adam"], ["rules"]],
)
def test_on_a_terminal(here: Path, arguments: list[str]) -> None:
    """Coloured by Rich; what looks like markup is shown as it is."""
    (here / "a[b].py").write_bytes(WARNED + b"x = '[/red]'\n")
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    process = subprocess.Popen(
        command(*arguments), cwd=here, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(leader)
    assert process.wait(timeout=60) == 0
    assert b"Traceback" not in shown
    if arguments[0] == "translate":
        assert b"a[b].py" in shown
    if "--diff" in arguments:
        assert b"\x1b[3" in shown


# The other commands


def test_explain(here: Path) -> None:
    done = run("explain", "torch.optim.Adam", "--to", "mindspore", cwd=here)
    assert (done.code, done.err) == (0, "")
    text = done.out.decode()
    for fragment in (
        "torch.optim.Adam",
        "mindspore.nn.Adam",
        "mindspore.experimental.optim.Adam",
        "betas",
        "beta1",
        "use_amsgrad",
        "epsilon",
    ):
        assert fragment in text
    assert "tensorflow" not in text
    for name in (
        "tf.keras.optimizers.Adam",
        "tensorflow.keras.optimizers.Adam",
        "keras.optimizers.Adam",
        "ms.nn.Adam",
        "adam",
        "ADAMW",
    ):
        assert run("explain", name, cwd=here).code == 0, name


def test_explain_shows_the_usual_class_and_signatures(here: Path) -> None:
    one, every = (
        run("explain", "AdamW", "--to", "mindspore", *more, cwd=here).out.decode() for more in ([], ["--all"])
    )
    assert one.startswith(
        "## torch.optim.AdamW -> mindspore.experimental.optim.AdamW\n\n```python\ntorch.optim.AdamW(\n    params,\n"
    )
    assert "\n- mindspore.nn.AdamWeightDecay\n" in one
    assert every.count("\n## ") > one.count("\n## ")
    assert "AdamWeightDecay\n\n```python" in every
    assert "| dropped: affects only execution (update all parameters with one kernel) |" in one
    old = run("explain", "Adam", "--from", "torch==1.13", "--to", "mindspore", cwd=here).out.decode()
    assert old.startswith("## torch.optim.Adam of torch 1.13 -> mindspore.nn.Adam\n")
    assert old.count("\n## ") == 0
    assert "decoupled_weight_decay" not in old
    for arguments, said in (
        (("Adam", "--from", "torch", "--to", "torch"), "two different frameworks"),
        (("torch.optim.Adam", "--from", "mindspore"), "belongs to torch"),
        (("Adma",), "did you mean 'Adam'?"),
    ):
        done = run("explain", *arguments, cwd=here)
        assert (done.code, done.out) == (2, b"")
        assert said in done.err


def test_explain_without_a_counterpart(here: Path) -> None:
    done = run("explain", "torch.optim.LBFGS", "--to", "mindspore", cwd=here)
    assert done.code == 0
    assert b"torch.optim.LBFGS -> mindspore" in done.out
    assert b"No counterpart" in done.out
    assert b"mindspore.scipy.optimize.minimize" in done.out
    pairs = run("explain", "torch.optim.LBFGS", "--format", "json", cwd=here).json()["pairs"]
    assert [(pair["framework"], pair["target"]) for pair in pairs] == [("tensorflow", None), ("mindspore", None)]
    assert all("lbfgs_minimize" in pair["instead"] for pair in pairs)


def test_explain_says_what_is_switched_off(here: Path) -> None:
    out = run("explain", "torch.optim.Adafactor", "--to", "mindspore", cwd=here).out.decode()
    lines = {
        line.split("|")[2].strip(): line.split("|")[3].strip() for line in out.splitlines() if line.count("|") == 4
    }
    assert lines["beta1=0.9"].endswith("set to 0.0")
    assert lines["relative_step=True"].endswith("set to False")
    assert lines["warmup_init=False"].endswith("keeps its default")
    assert lines["eps=(1e-30, 0.001)"] == "partly the same"


def test_list_tells_a_refusal_from_no_counterpart(here: Path) -> None:
    brief = run("list", "--from", "mindspore", "--to", "torch", cwd=here)
    words = {line.split()[0]: line.split()[2] for line in brief.out.decode().splitlines()}
    assert (words["mindspore.nn.AdaFactor"], words["mindspore.nn.LARS"], words["mindspore.nn.SGD"]) == (
        "refused",
        "none",
        "same",
    )
    assert set(words.values()) <= {line.split()[0] for line in brief.err.splitlines() if line}
    lines = run("list", "--from", "mindspore", "--to", "torch", "--verbose", cwd=here).out.decode().splitlines()
    found = {line.split()[0]: line for line in lines}
    assert "torch.optim.Adafactor" in found["mindspore.nn.AdaFactor"]
    assert "refused at the defaults" in found["mindspore.nn.AdaFactor"]
    assert "no counterpart in torch" in found["mindspore.nn.LARS"]


def test_explain_and_list_speak_of_the_chosen_versions(here: Path) -> None:
    """lr was required before torch 2.2, foreach came with 1.12, Muon with 2.9: torch's release notes."""
    (here / "pyproject.toml").write_text('[tool.optmap.versions]\ntorch = "1.11"\n')
    done = run("explain", "torch.optim.SGD", "--to", "tensorflow", cwd=here).out.decode()
    assert done.startswith("## torch.optim.SGD of torch 1.11 -> tf.keras.optimizers.SGD\n")
    assert "| lr " in done
    assert "foreach" not in done
    assert "Measured" not in done
    gone = run("explain", "torch.optim.Muon", cwd=here)
    assert (gone.code, gone.out) == (2, b"")
    assert "torch.optim.Muon of torch 1.11 does not exist: the class came with torch 2.9" in gone.err
    assert b"\ntorch.optim.Muon " not in run("list", cwd=here).out
    assert b"\ntorch.optim.Muon " in run("list", "--from", "torch==2.13", cwd=here).out
    assert b"tf.keras.optimizers.Lion" not in run("list", "--from", "torch", "--to", "tensorflow==2.5", cwd=here).out


def test_explain_as_json(here: Path) -> None:
    document = run("explain", "torch.optim.AdamW", "--to", "mindspore", "--all", "--format", "json", cwd=here).json()
    assert document["version"] == 1
    pairs = {(item["source"], item["target"]): item for item in document["pairs"]}
    pair = pairs["torch.optim.AdamW", "mindspore.nn.AdamWeightDecay"]
    assert any("bias" in cause for cause in pair["causes"])
    assert pairs["torch.optim.AdamW", "mindspore.experimental.optim.AdamW"]["causes"] == []
    row = next(row for row in pair["rows"] if row["source"].startswith("weight_decay"))
    assert "0.01" in row["source"]
    assert "0.0" in row["target"]


def test_list(here: Path) -> None:
    lines = run("list", "--from", "torch", "--to", "mindspore", cwd=here).out.decode().splitlines()
    pairs = {tuple(line.split()[:2]) for line in lines}
    assert pairs >= {
        ("torch.optim.Adam", "mindspore.nn.Adam"),
        ("torch.optim.AdamW", "mindspore.experimental.optim.AdamW"),
        ("torch.optim.Adamax", "mindspore.nn.AdaMax"),
        ("torch.optim.SGD", "mindspore.nn.SGD"),
        ("torch.optim.SparseAdam", "mindspore.nn.LazyAdam"),
        ("torch.optim.RMSprop", "mindspore.experimental.optim.RMSprop"),
        ("torch.optim.Adagrad", "mindspore.experimental.optim.Adagrad"),
    }
    assert all(source.startswith("torch.") for source, _ in pairs)
    document = run("list", "--format", "json", cwd=here).json()
    assert document["version"] == 1
    keys = {key for pair in document["pairs"] for key in pair}
    assert keys == {"source", "target", "level", "usually", "agreement", "faithful", "documented", "word"}
    cells = {(pair["source"], pair["target"]): pair for pair in document["pairs"]}
    adamw = cells["torch.optim.AdamW", "mindspore.experimental.optim.AdamW"]
    assert (adamw["level"], adamw["faithful"], adamw["documented"]) == (
        "EQUIVALENT",
        None,
        "mindspore.nn.AdamWeightDecay",
    )
    assert cells["torch.optim.Adam", "mindspore.nn.Adam"]["usually"] == "EQUIVALENT but in small-gradients"
    assert cells["mindspore.mint.optim.SGD", "torch.optim.SGD"]["level"] == "NOT_RUN"
    assert cells["torch.optim.ASGD", None]["agreement"].startswith("no counterpart in tensorflow: ")
    sources = {pair["source"].split(".")[0] for pair in document["pairs"]}
    assert sources == {"torch", "tf", "mindspore"}


def test_rules(here: Path) -> None:
    lines = run("rules", cwd=here).out.decode().splitlines()
    codes = [line.split()[0] for line in lines]
    assert len(codes) > 30
    assert codes == sorted(codes)
    one = run("rules", "OM203", cwd=here).out.decode()
    assert one.startswith("OM203 unpacked-arguments (error)")
    for name in ("om203", "unpacked-arguments"):
        assert run("rules", name, cwd=here).out.decode() == one
    document = run("rules", "--format", "json", cwd=here).json()
    assert [rule["code"] for rule in document["rules"]] == codes
    assert all(rule[key] for rule in document["rules"] for key in ("name", "severity", "meaning", "example", "remedy"))
