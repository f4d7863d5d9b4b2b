"""Which files do paths stand for? The walk honours .gitignore as git does, and names everything at most once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from optmap.files import find_files
from tests.properties import examples


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    return root


def ignore(directory: Path, *lines: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ".gitignore").write_text("\n".join(lines) + "\n", encoding="utf-8")


def found(*paths: Path, exclude: tuple[str, ...] = (), root: Path | None = None) -> list[str]:
    items = list(find_files(paths, exclude))
    assert [item.error for item in items] == [None] * len(items)
    base = root or paths[0]
    return [str(item.path.relative_to(base)) for item in items]


def test_sources_of_a_directory_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.py", "a.pyi", "c.txt", "py", "d/z.py", "d/a.py", "B.py", "e.pyc", "f.ipynb.txt", ".hidden.py")
    assert found(tmp_path) == [".hidden.py", "B.py", "a.pyi", "b.py", "d/a.py", "d/z.py"]


def test_directories_that_hold_no_sources(tmp_path: Path) -> None:
    make(
        tmp_path,
        ".git/a.py",
        "__pycache__/a.py",
        ".venv/a.py",
        "node_modules/x/a.py",
        ".hg/a.py",
        "x/.svn/a.py",
        "x/git/a.py",
    )
    assert found(tmp_path) == ["x/git/a.py"]


def test_files_named_outright_are_always_taken(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "b.py", "no_suffix")
    ignore(tmp_path, "b.py")
    paths = [tmp_path / "a.txt", tmp_path / "b.py", tmp_path / "no_suffix"]
    assert found(*paths, exclude=("*.txt", "*.py"), root=tmp_path) == ["a.txt", "b.py", "no_suffix"]


def test_every_file_once(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "d/b.py")
    paths = [tmp_path / "d" / "b.py", tmp_path, tmp_path / "d" / ".." / "a.py", tmp_path / "d"]
    assert found(*paths, root=tmp_path) == ["d/b.py", "a.py"]


def test_the_base_is_the_path_that_led_there(tmp_path: Path) -> None:
    make(tmp_path, "d/e/b.py")
    assert [item.base for item in find_files([tmp_path / "d"])] == [tmp_path / "d"]
    assert [item.base for item in find_files([tmp_path / "d" / "e" / "b.py"])] == [tmp_path / "d" / "e" / "b.py"]


def test_relative_paths_stay_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "d/b.py")
    ignore(tmp_path / "d", "/c.py")
    make(tmp_path, "d/c.py")
    monkeypatch.chdir(tmp_path)
    assert [str(item.path) for item in find_files([Path("d")])] == ["d/b.py"]
    assert [str(item.path) for item in find_files([Path()])] == ["d/b.py"]


def test_missing_paths_are_errors_and_others_are_still_found(tmp_path: Path) -> None:
    make(tmp_path, "a.py")
    (tmp_path / "link.py").symlink_to(tmp_path / "gone")
    paths = [
        tmp_path / "nowhere",
        tmp_path / "link.py",
        tmp_path / "a.py",
        tmp_path / "a.py" / "b.py",
        tmp_path / ("x" * 300),
    ]
    items = list(find_files(paths))
    assert [item.path for item in items] == paths
    assert [item.error is None for item in items] == [False, False, True, False, False]
    assert items[0].error == "no such file or directory"


def test_a_directory_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.py", "closed/b.py")
    scan = os.scandir

    def refuse(path: str) -> object:
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # Root may read whatever its permissions are.
    items = list(find_files([tmp_path]))
    assert [(item.path.name, item.error is None) for item in items] == [("a.py", True), ("closed", False)]


def test_links(tmp_path: Path) -> None:
    """A link inside a directory is not followed, so that no loop and no way out exists; one that is named is."""
    root = make(tmp_path / "root", "a.py", "d/b.py")
    make(tmp_path, "away/c.py")
    (root / "loop").symlink_to(root)
    (root / "d" / "up").symlink_to("..")
    (root / "out").symlink_to(tmp_path / "away")
    (root / "out.py").symlink_to(tmp_path / "away" / "c.py")
    (root / "self.py").symlink_to("self.py")
    assert found(root) == ["a.py", "d/b.py"]
    assert [item.path for item in find_files([root / "out"])] == [root / "out" / "c.py"]
    assert [item.path for item in find_files([root / "out.py"])] == [root / "out.py"]


def test_what_is_not_a_file(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "dir.py/b.py")
    os.mkfifo(tmp_path / "pipe.py")
    assert found(tmp_path) == ["a.py", "dir.py/b.py"]


# .gitignore


def test_patterns(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.py",
        "build/a.py",
        "d/build/b.py",
        "d/a.py",
        "top.py",
        "d/top.py",
        "gen_x.py",
        "d/gen_y.py",
        "d/deep/er/z.py",
        "k.py",
    )
    ignore(tmp_path, "# comment", "", "build/", "/top.py", "gen_*.py", "!d/gen_y.py", "d/**/z.py", "k.py   ")
    assert found(tmp_path) == ["a.py", "d/a.py", "d/gen_y.py", "d/top.py"]


def test_a_nested_file_overrides_the_outer_one(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "d/a.py", "d/b.py", "d/e/a.py", "f/a.py")
    ignore(tmp_path, "a.py")
    ignore(tmp_path / "d", "!a.py", "b.py")
    ignore(tmp_path / "d" / "e", "a.py")
    assert found(tmp_path) == ["d/a.py"]


def test_what_is_in_an_ignored_directory_cannot_come_back(tmp_path: Path) -> None:
    make(tmp_path, "d/a.py", "e/a.py", "e/b.py")
    ignore(tmp_path, "d/", "!d/a.py", "e/*", "!e/a.py")
    assert found(tmp_path) == ["e/a.py"]


def test_the_repository_around(tmp_path: Path) -> None:
    make(tmp_path, "repo/.git/HEAD", "repo/src/a.py", "repo/src/gen.py", "repo/src/x/old.py", "repo/src/x/b.py")
    ignore(tmp_path, "b.py")
    ignore(tmp_path / "repo", "gen.py", "/src/x/old.py")
    assert found(tmp_path / "repo" / "src") == ["a.py", "x/b.py"]
    assert found(tmp_path / "repo" / "src" / "x") == ["b.py"]


def test_without_a_repository_nothing_above_counts(tmp_path: Path) -> None:
    make(tmp_path, "src/a.py")
    ignore(tmp_path, "a.py")
    if any((parent / ".git").exists() for parent in tmp_path.parents):
        pytest.skip("the temporary directory lies inside a repository")
    assert found(tmp_path / "src") == ["a.py"]


def test_exclusions_of_the_settings(tmp_path: Path) -> None:
    make(tmp_path, "a.py", "tests/a.py", "d/tests/b.py", "d/c.py")
    assert found(tmp_path, exclude=("tests/",)) == ["a.py", "d/c.py"]
    assert found(tmp_path, exclude=("/tests/", "c.*")) == ["a.py", "d/tests/b.py"]


def test_a_gitignore_that_makes_no_sense(tmp_path: Path) -> None:
    make(tmp_path, "a.py")
    (tmp_path / ".gitignore").write_bytes(b"\xff\xfe[\n!\n\\\n[z-a]\n***\x00\n/\n")
    assert found(tmp_path) == ["a.py"]
    make(tmp_path, "d/b.py", "d/.gitignore/x.py")
    assert found(tmp_path) == ["a.py", "d/.gitignore/x.py", "d/b.py"]


NAMES = ["a.py", "b.py", "d/a.py", "d/b.py", "d/e/a.py", "d/e/c.py", "f/b.py", "build/x.py", "d/build/y.py"]
PATTERNS = [
    "a.py",
    "/a.py",
    "*.py",
    "!a.py",
    "!*.py",
    "d/",
    "/d/",
    "d",
    "d/*",
    "!d/a.py",
    "!/d/e",
    "e/",
    "build/",
    "build/*",
    "**/b.py",
    "d/**",
    "!d/**/c.py",
    "*/b.py",
    "[ab].py",
    "f/b.py",
    "/build",
    "?.py",
    "!e/",
]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@examples(50, [HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PATTERNS), max_size=4), st.lists(st.sampled_from(PATTERNS), max_size=3))
def test_the_walk_agrees_with_git(tmp_path_factory: pytest.TempPathFactory, outer: list[str], inner: list[str]) -> None:
    root = make(tmp_path_factory.mktemp("repo"), *NAMES)
    ignore(root, *outer)
    ignore(root / "d", *inner)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    command = ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "--others", "--exclude-standard", "-z", "*.py"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    assert sorted(found(root)) == sorted(name for name in listed if name)
