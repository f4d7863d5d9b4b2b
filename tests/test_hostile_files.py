"""A file system that somebody else arranged: pipes, devices, links, names and patterns that are made to harm."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optmap.translate import files
from tests.commandline import command, run, start
from tests.test_cli import GOOD, GOOD_AFTER, PLAIN, contents, put

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")


def odd(path: Path, kind: str) -> None:
    """A file that never ends, never begins, or is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)


KINDS = ["pipe", "socket", "device", "a terabyte"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.py", ["translate", "a.py"]),
        ("a.ipynb", ["translate", "a.ipynb"]),
        ("train.yaml", ["translate", "train.yaml"]),
        ("a.py", ["check", "a.py"]),
        ("a.ipynb", ["check", "a.ipynb"]),
        ("pyproject.toml", ["translate", "good.py"]),
        ("tables/adam.yaml", ["translate", "good.py", "--mappings", "tables"]),
        ("tables/around/torch.yaml", ["translate", "good.py", "--mappings", "tables"]),
        ("tables/frameworks/x.yaml", ["translate", "good.py", "--mappings", "tables"]),
    ],
)
def test_what_is_no_ordinary_file_is_not_read(here: Path, name: str, arguments: list[str], kind: str) -> None:
    put(here, good=GOOD)
    odd(here / name, kind)
    done = run(*(here / item if item == "tables" else item for item in arguments), cwd=here)
    assert done.code == 2
    assert Path(name).name in done.err
    assert "not a regular file" in done.err or "bytes, expected at most" in done.err
    assert (here / "good.py").read_bytes() == GOOD


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_unreadable_gitignore_may_ignore_is_left_alone(here: Path, kind: str) -> None:
    put(here, good=GOOD, d__vendored=GOOD, d__e__deeper=GOOD)
    odd(here / "d" / ".gitignore", kind)
    done = run("translate", ".", "--write", cwd=here)
    assert done.code == 2
    assert "d/.gitignore:1:1: error OM001 cannot be read" in done.err
    assert [(here / f"{name}.py").read_bytes() for name in ("good", "d/vendored", "d/e/deeper")] == [
        GOOD_AFTER,
        GOOD,
        GOOD,
    ]
    (here / ".git").mkdir()
    done = run("translate", "d/e", "--check", cwd=here)
    assert (done.code, "d/.gitignore" in done.err) == (2, True)


@pytest.mark.parametrize("line", ["[z-a]", "!", "\\", "x\\", "[[:nothing:]]", "\u2028", "\udc80"])
def test_of_a_gitignore_a_line_without_sense_costs_that_line(here: Path, line: str) -> None:
    put(here, good=GOOD, vendored__a=GOOD, b=GOOD)
    text = f"vendored/\n{line}\r\nb.py\r\n"
    (here / ".gitignore").write_bytes(text.encode("utf-8", "surrogateescape"))
    if shutil.which("git"):
        subprocess.run(["git", "init", "-q"], cwd=here, check=True)
        listed = ["git", "ls-files", "-oc", "--exclude-standard"]
        assert set(subprocess.check_output(listed, cwd=here, text=True).split()) == {".gitignore", "good.py"}
    done = run("translate", ".", "--check", cwd=here)
    assert (done.out, "Warning" in done.err) == (b"would change good.py\n", False)


@pytest.mark.parametrize("line", ["[z-a]", "!", "\\"])
def test_settings_hold_patterns_that_make_sense(here: Path, line: str) -> None:
    put(here, good=GOOD)
    (here / "pyproject.toml").write_text(f"[tool.optmap]\nexclude = ['vendored/', '{line}']\n")
    done = run("translate", ".", "--write", cwd=here)
    assert done.code == 2
    assert f"exclude: found {line!r}, expected a pattern as in .gitignore" in done.err
    assert (here / "good.py").read_bytes() == GOOD


# Results


@pytest.mark.parametrize("into", ["out", "d/out"])
def test_results_below_what_is_read_are_not_read(here: Path, into: str) -> None:
    put(here, d__a=GOOD, d__z=GOOD, z=PLAIN)
    for _ in range(2):
        assert run("translate", ".", "--output", into, cwd=here).code == 0
        written = {name.removeprefix(f"{into}/") for name in contents(here) if name.startswith(into)}
        assert written == {"d/a.py", "d/z.py", "z.py"}
    assert (here / "d/a.py").read_bytes() == GOOD


def test_results_never_replace_what_is_read(here: Path) -> None:
    put(here, d__a=GOOD, d__d__a=PLAIN)
    done = run("translate", "d", "--output", "d", cwd=here)
    assert (done.code, "which is read" in done.err) == (2, True)
    done = run("translate", "d", "--output", ".", cwd=here)
    assert (done.code, "is one of the files that are read" in done.err) == (2, True)
    assert contents(here) == {"a.py": GOOD_AFTER, "d/a.py": GOOD, "d/d/a.py": PLAIN}


def test_results_stay_in_their_directory(here: Path) -> None:
    """A repository may hold the directory, and links in it."""
    put(here, d__a=GOOD, d__b__c=GOOD)
    precious, away = here / "precious", here / "away"
    precious.write_bytes(b"precious")
    away.mkdir()
    (here / "out").mkdir()
    (here / "out/a.py").symlink_to(precious)
    (here / "out/b").symlink_to(away)
    done = run("translate", "d", "--output", "out", cwd=here)
    assert (done.code, done.err.count("leads out of out")) == (2, 2)
    assert precious.read_bytes() == b"precious"
    assert os.listdir(away) == []


def test_results_are_files_of_their_own(here: Path) -> None:
    """Whatever names a file in the directory of results has elsewhere, there or outside."""
    put(here, d__a=GOOD, d__b=GOOD.replace(b"0.1", b"0.7"), precious=PLAIN)
    (here / "out").mkdir()
    for name in ("a", "b"):
        os.link(here / "precious.py", here / f"out/{name}.py")
    assert run("translate", "d", "--output", "out", cwd=here).code == 0
    assert contents(here / "out") == {"a.py": GOOD_AFTER, "b.py": GOOD_AFTER.replace(b"0.1", b"0.7")}
    assert (here / "precious.py").read_bytes() == PLAIN


def test_names_that_are_one_file_hold_one_result(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a file system does not tell A.py from a.py; a link stands in for that, which nothing resolves."""
    put(here, d__A__x=GOOD, d__a__x=GOOD.replace(b"0.1", b"0.7"))
    (here / "out/A").mkdir(parents=True)
    (here / "out/a").symlink_to("A")
    monkeypatch.setattr("os.path.realpath", lambda path, strict=False: os.path.abspath(path))
    done = run("translate", "d", "--output", "out", cwd=here)
    assert (done.code, "already holds the result of d/A/x.py" in done.err) == (2, True)
    assert (here / "out/A/x.py").read_bytes() == GOOD_AFTER


def test_nothing_is_written_through_links_in_a_tree(here: Path) -> None:
    put(here, away__a=GOOD, d__b=GOOD)
    (here / "d/a.py").symlink_to(here / "away/a.py")
    (here / "d/e").symlink_to(here / "away")
    (here / "d/loop").symlink_to(here / "d")
    assert run("translate", "d", "--write", cwd=here).code == 0
    assert contents(here / "away") == {"a.py": GOOD}
    assert (here / "d/b.py").read_bytes() == GOOD_AFTER


def test_no_pipe_is_replaced_by_a_result(here: Path) -> None:
    put(here, a=GOOD)
    os.mkfifo(here / "out.py")
    done = run("translate", "a.py", "--output", "out.py", cwd=here)
    assert (done.code, "not a regular file" in done.err) == (2, True)
    assert stat.S_ISFIFO((here / "out.py").stat().st_mode)


# Names

NAMES = [
    b"a\n::error::forged.py",
    b"\x1b]0;title\x07\x1b[2J.py",
    b"caf\xe9.py",
    b"\xe2\x80\xae.py",
    b" ::warning::x.py",
    b"'\"\\.py",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "arguments",
    [
        ["--check"],
        ["--write"],
        ["--output", "out"],
        ["--format", "github"],
        ["--format", "json"],
        ["--format", "sarif"],
    ],
)
def test_names_cannot_steer_what_shows_them(here: Path, name: bytes, arguments: list[str]) -> None:
    (here / "d").mkdir()
    (here / "d" / os.fsdecode(name)).write_bytes(GOOD + b"torch.optim.Adam(x, **y)\n")
    done = run("translate", "d", *arguments, cwd=here)
    shown = done.out + done.err.encode()
    assert shown.isascii() or b"\xe2\x80\xae" not in shown
    assert all(byte >= 32 or byte == 10 for byte in shown)
    assert not any(line.lstrip().startswith(b"::") and b"title=" not in line for line in shown.splitlines())


@pytest.mark.parametrize("name", [*NAMES, b"a b.py", b"tab\there.py", b"plain.py"])
def test_git_and_patch_apply_the_diff_whatever_the_name(here: Path, name: bytes) -> None:
    directory = here / "a directory"
    directory.mkdir()
    path = directory / os.fsdecode(name)
    path.write_bytes(GOOD)
    done = run("translate", "a directory", "--diff", cwd=here)
    tools = [["git", "apply", "-"], ["patch", "-p1", "--quiet"]]
    for tool in tools:
        if shutil.which(tool[0]):
            path.write_bytes(GOOD)
            subprocess.run(tool, cwd=here, input=done.out, check=True)
            assert path.read_bytes() == GOOD_AFTER


def test_source_text_cannot_steer_what_shows_it(here: Path) -> None:
    strings = ["\x1b[2J", "\n::error::forged", "\n  ##[error]forged", "\x9b2J"]
    text = "".join(
        f'torch.optim.SGD(net.parameters(), lr="""{item}""")\ntorch.optim.lr_scheduler.StepLR(x, """{item}""")\n'
        for item in strings
    )
    (here / "a.py").write_text(f"import torch\n{text}", encoding="utf-8")
    for to in ("mindspore", "tensorflow"):
        done = run("translate", "a.py", "--to", to, "--check", cwd=here)
        assert all(letter.isprintable() or letter == "\n" for letter in done.err)
        assert not any(line.lstrip().startswith(("::", "##[")) for line in done.err.splitlines())


# Processes


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_a_file_that_is_being_written_is_finished(here: Path, number: str, code: int) -> None:
    put(here, a=GOOD, b=GOOD)
    program = (
        "import os, signal, sys\nfrom optmap import __main__\nsync = os.fsync\n"
        f"def fsync(handle):\n    os.kill(os.getpid(), signal.{number})\n    sync(handle)\nos.fsync = fsync\n"
        "sys.argv = ['optmap', 'translate', '.', '--write']\n__main__.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=here, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, b"")
    assert contents(here) == {"a.py": GOOD_AFTER, "b.py": GOOD}


def test_one_file_takes_no_process(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(here, a=GOOD)
    monkeypatch.setattr(files, "_in_workers", lambda *given: pytest.fail("processes were started"))
    assert run("translate", ".", "--check", "--jobs", "64", cwd=here).code == 1


def alive(processes: list[int]) -> list[int]:
    return [
        one
        for one in processes
        if Path(f"/proc/{one}").exists() and "Z" not in Path(f"/proc/{one}/stat").read_text().split()[2]
    ]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_one_that_started_it(here: Path, number: signal.Signals) -> None:
    for each in range(130):
        put(here, **{f"d__a{each}": GOOD + b"y = torch.nn.functional.relu(x)\n" * 3000})
    process = subprocess.Popen(command("translate", "d", "--check", "--jobs", "2"), cwd=here, stderr=subprocess.PIPE)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers: list[int] = []
    for _ in range(600):
        time.sleep(0.05)
        workers = list(map(int, children.read_text().split()))
        if len(workers) == 2:
            break
    process.send_signal(number)
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(60) == (-9 if number is signal.SIGKILL else 143)
    for _ in range(600):
        if not alive(workers):
            return
        time.sleep(0.05)
    raise AssertionError("workers go on")


def test_a_worker_that_dies_costs_its_files_only(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in range(200):
        put(here, **{f"d__a{each:03}": GOOD})
    program = (
        "import os, sys\nfrom optmap.translate import files\none = files._one\n"
        "def dies(found, *more):\n    if found.path.name == 'a150.py':\n        os._exit(9)\n    return one(found, *more)\n"
        "files._one = dies\nfrom optmap import __main__\n"
        "sys.argv = ['optmap', 'translate', 'd', '--check', '--jobs', '2']\n__main__.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=here, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"a150.py:1:1: error OM001 cannot be read: a process ended" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["translate", "d", "--diff"], ["translate", "d", "--format", "json"], ["rules"], ["list"]]
)
def test_a_pipe_that_nobody_reads(here: Path, arguments: list[str]) -> None:
    put(here, **{f"d__a{each}": GOOD for each in range(100)})
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command(*arguments), cwd=here, stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, b"Error" in done.stderr) == (141, False), done.stderr


# Settings


@pytest.mark.parametrize(
    "key", ["python", "interpreter", "interpreters", "output", "write", "report", "jobs", "plugins", "command"]
)
def test_settings_name_no_program_and_no_place_to_write_to(here: Path, key: str) -> None:
    """A repository brings them along, and whoever runs optmap in it has not read them."""
    put(here, a=GOOD)
    (here / "pyproject.toml").write_text(f"[tool.optmap]\n{key} = 'x'\n")
    for arguments in (["translate", "a.py"], ["check", "a.py"], ["list"]):
        done = run(*arguments, cwd=here)
        assert (done.code, f"unknown key '{key}'" in done.err) == (2, True)
    assert set(contents(here)) == {"a.py", "pyproject.toml"}


def test_nothing_of_a_repository_is_executed(here: Path) -> None:
    """Neither modules that have the names of others, nor start-up files, nor what is translated and compared."""
    trap = f"open({str(here / 'sprung')!r}, 'w')\n".encode()
    names = [
        "torch",
        "numpy",
        "yaml",
        "random",
        "sitecustomize",
        "usercustomize",
        "conftest",
        "setup",
        "optmap__config",
        "rich",
        "typer",
    ]
    put(here, **dict.fromkeys(names, trap), a=GOOD + trap)
    (here / "pyproject.toml").write_text("[tool.optmap]\nmappings = ['tables']\n")
    (here / "tables").mkdir()
    (here / "tables/x.yaml").write_text("algorithm: !!python/object/apply:builtins.open ['sprung', 'w']\n")
    assert start("translate", ".", "--check", cwd=here).code == 2
    (here / "tables/x.yaml").unlink()
    (here / "pyproject.toml").write_text("")
    start("translate", ".", "--check", cwd=here)
    start("check", "a.py", "--steps", "1", "--to", "mindspore", cwd=here)
    assert not (here / "sprung").exists()


def test_two_runs_at_once(here: Path) -> None:
    """Each file is translated once, whoever comes first, and nothing is left behind."""
    for each in range(60):
        put(here, **{f"d__a{each:02}": GOOD})
    runs = [subprocess.Popen(command("translate", "d", "--write"), cwd=here, stderr=subprocess.PIPE) for _ in range(3)]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert contents(here) == {f"d/a{each:02}.py": GOOD_AFTER for each in range(60)}
    assert all(run.returncode in (0, 2) for run in runs)
    assert not any(b"Traceback" in text for text in said)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no users like these")
def test_a_directory_that_nothing_can_be_written_to(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(here, d__a=GOOD)

    def refused(*given: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refused)  # as for all but root
    for arguments in (["--write"], ["--output", "out"]):
        done = run("translate", "d", *arguments, cwd=here)
        assert (done.code, "cannot be written: Permission denied" in done.err) == (2, True)
    assert contents(here) == {"d/a.py": GOOD}
