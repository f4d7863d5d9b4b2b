"""The only writer: the old file or the new one, never a part, and never over something that was not read."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from optmap.translate.write import WriteError, replace_file, write_new

OLD, NEW = b"old\r\n", b"new \xff\n"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_bytes(OLD)
    return path


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise error

    return fail


def alone(path: Path, content: bytes) -> None:
    """The file has this content, and nothing else is left in its directory."""
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]


def test_the_content_is_replaced(target: Path) -> None:
    replace_file(target, OLD, NEW)
    alone(target, NEW)


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o664, 0o200])
def test_the_mode_stays(target: Path, mode: int) -> None:
    target.chmod(mode)
    if not os.access(target, os.R_OK):
        pytest.skip("unreadable files can only be tested as root")
    replace_file(target, OLD, NEW)
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_link_is_followed(target: Path, tmp_path: Path) -> None:
    away = tmp_path / "elsewhere"
    away.mkdir()
    link = away / "link.py"
    link.symlink_to(Path("..") / target.name)
    replace_file(link, OLD, NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW
    assert os.listdir(away) == ["link.py"]


def test_a_read_only_file_is_refused(target: Path) -> None:
    target.chmod(0o444)
    with pytest.raises(WriteError, match="read-only"):
        replace_file(target, OLD, NEW)
    alone(target, OLD)


def test_a_file_that_has_changed_is_refused(target: Path) -> None:
    target.write_bytes(b"newer")
    with pytest.raises(WriteError, match="changed since it was read"):
        replace_file(target, OLD, NEW)
    alone(target, b"newer")


def test_a_file_that_is_gone_is_refused(target: Path) -> None:
    target.unlink()
    with pytest.raises(WriteError, match="No such file"):
        replace_file(target, OLD, NEW)
    assert not target.exists()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError):
        replace_file(tmp_path, OLD, NEW)
    with pytest.raises(WriteError, match="directory"):
        write_new(tmp_path, NEW)


@pytest.mark.parametrize("function", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), MemoryError()])
def test_an_interrupted_write_leaves_the_old_file_alone(
    target: Path, monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException
) -> None:
    monkeypatch.setattr(os, function, raising(error))
    with pytest.raises(type(error)):
        replace_file(target, OLD, NEW)
    monkeypatch.undo()
    alone(target, OLD)


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failed_write_is_a_write_error(target: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    monkeypatch.setattr(os, function, raising(OSError(28, "No space left on device")))
    with pytest.raises(WriteError, match="No space left on device"):
        replace_file(target, OLD, NEW)
    monkeypatch.undo()
    alone(target, OLD)


def test_a_reader_sees_the_old_or_the_new_file(target: Path) -> None:
    small, large = b"a" * 10, b"b" * 3_000_000
    target.write_bytes(small)
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(target.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        replace_file(target, small, large)
        replace_file(target, large, small)
    stop.set()
    reader.join()
    assert seen <= {small, large}


def test_a_new_file_is_made_with_its_directories(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.py"
    mask = os.umask(0o027)
    try:
        write_new(path, NEW)
    finally:
        os.umask(mask)
    alone(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_takes_the_mode_of_its_model(target: Path, tmp_path: Path) -> None:
    target.chmod(0o755)
    path = tmp_path / "out" / "x.py"
    write_new(path, NEW, like=target)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    write_new(tmp_path / "out" / "y.py", NEW, like=tmp_path / "gone")


def test_an_output_that_exists_is_replaced_and_keeps_its_mode(target: Path) -> None:
    target.chmod(0o600)
    write_new(target, NEW)
    alone(target, NEW)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_an_output_that_is_a_link_is_followed(target: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to(target)
    write_new(link, NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW


def test_an_output_below_a_file(target: Path) -> None:
    with pytest.raises(WriteError):
        write_new(target / "x.py", NEW)
    alone(target, OLD)


def test_an_interrupted_new_file_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write_new(tmp_path / "x.py", NEW)
    assert os.listdir(tmp_path) == []


def test_a_name_that_is_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 252 + ".py")
    path.write_bytes(OLD)
    replace_file(path, OLD, NEW)
    alone(path, NEW)
