"""The stored form of the tables says what the tables say, and is never used for others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from optmap.mapping import around, frameworks, load, steps, stored
from optmap.mapping.records import store

FAMILIES: dict[str, Any] = {
    "optimizers": ("", load.OPTIMIZERS, load.plain, load.back),
    "schedules": ("schedules", load.load_files, load.plain, load.back),
    "around": ("around", around.build, store, around.Around.restore),
    "steps": ("steps", steps.build, store, steps.StepsFile.restore),
    "frameworks": ("frameworks", frameworks.build, store, frameworks.restore),
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tables in place of optmap's own."""
    directory = tmp_path / "mappings"
    shutil.copytree(stored.default_directory(), directory, ignore=shutil.ignore_patterns("stored"))
    monkeypatch.setattr(stored, "default_directory", lambda: directory)
    return directory


def made(name: str) -> tuple[Any, list[str]]:
    """What is loaded, and the word `built` if YAML was read for it."""
    folder, build, plain, back = FAMILIES[name]
    built: list[str] = []

    def counted(contents: stored.Contents) -> Any:
        built.append("built")
        return build(contents)

    return stored.stored(name, folder, counted, plain, back), built


@pytest.mark.parametrize("name", FAMILIES)
def test_it_reads_back_equal(name: str, own: Path) -> None:
    first, built = made(name)
    second, again = made(name)
    assert (built, again) == (["built"], [])
    assert second == first
    assert repr(second) == repr(first)


def test_it_is_not_used_for_other_tables(own: Path) -> None:
    made("optimizers")
    path = own / "lion.yaml"
    path.write_bytes(path.read_bytes() + b"\n")
    assert made("optimizers")[1] == ["built"]
    assert made("optimizers")[1] == []
    (own / "new.yaml").write_text("hyperparameters: {new_one: {about: x}}\n", encoding="utf-8")
    assert "new_one" in made("optimizers")[0].hyperparameters
    (own / "new.yaml").unlink()
    assert "new_one" not in made("optimizers")[0].hyperparameters
    assert stored.digest([("a", b"bc")]) != stored.digest([("ab", b"c")])


def test_it_is_not_used_for_other_code(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made("steps")
    monkeypatch.setattr(stored, "_code", lambda: "another")
    assert made("steps")[1] == ["built"]


@pytest.mark.parametrize("spoilt", [b"", b"{}", b"\xff\n[]", b"%(first)s\n", b"%(first)s\n[[1], 2]", b"%(half)s"])
def test_a_spoilt_one_is_replaced(own: Path, spoilt: bytes) -> None:
    made("steps")
    path = own / "stored" / "steps.json"
    whole = path.read_bytes()
    path.write_bytes(spoilt.replace(b"%(first)s", whole.split(b"\n")[0]).replace(b"%(half)s", whole[: len(whole) // 2]))
    assert made("steps")[1] == ["built"]
    assert path.read_bytes() == whole


def test_where_nothing_can_be_written_the_tables_are_read(own: Path) -> None:
    (own / "stored").write_text("a file stands in the way", encoding="utf-8")
    assert made("steps")[1] == ["built"]
    assert made("steps")[1] == ["built"]


def test_what_is_installed_writes_nothing(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_INSIDE", own)
    assert made("steps")[1] == ["built"]
    assert not (own / "stored").exists()


def test_several_processes_write_at_once(own: Path) -> None:
    program = (
        "import sys, pathlib\nfrom optmap.mapping import stored, steps\n"
        "stored.default_directory = lambda: pathlib.Path(sys.argv[1])\n"
        "from optmap.mapping.model import Framework\n"
        "assert steps.load_table(Framework('torch'), Framework('mindspore')).callables\n"
    )
    command = [sys.executable, "-c", program, str(own)]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(4)]
    assert [process.wait(timeout=60) for process in running] == [0] * 4
    assert sorted(os.listdir(own / "stored")) == ["frameworks.json", "steps.json"]
    assert made("steps")[1] == []
