"""The only writer: the old file or the new one, never a part, and never over something that was not read."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest

from optmap.translate import write
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


@pytest.fixture(params=[True, False])
def exchanging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Systems that exchange two files in one step, and others."""
    if not request.param:
        monkeypatch.setattr(write, "_exchange", lambda one, other: False)


FAULTS = ["stat", "fsync", "chmod", "replace", "lseek", "write", "ftruncate", "fdopen", "access"]
"""Every call of the system that writing makes."""


@pytest.mark.usefixtures("exchanging")
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("function", FAULTS)
def test_a_fault_in_any_call_leaves_the_old_file_or_the_new_one(
    target: Path, monkeypatch: pytest.MonkeyPatch, function: str, error: BaseException, linked: bool
) -> None:
    other = target.with_name("other")
    if linked:
        os.link(target, other)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # takes long, and no machine breaks down in between
    real, calls = getattr(os, function), 0

    def fails(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise error
        return real(*given, **named)

    at = 0
    while at <= calls:
        at, calls = at + 1, 0
        target.write_bytes(OLD)
        with monkeypatch.context() as patch:
            patch.setattr(os, function, fails)
            with suppress(KeyboardInterrupt, MemoryError, WriteError):
                replace_file(target, OLD, NEW)
        assert target.read_bytes() in (OLD, NEW)
        assert set(os.listdir(target.parent)) == {target.name, *([other.name] if linked else [])}
        assert other.read_bytes() == target.read_bytes() if linked else True


@pytest.mark.usefixtures("exchanging")
@pytest.mark.parametrize("function", ["fsync", "chmod"])
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
    monkeypatch.setattr(write, "_exchange", lambda one, other: False)
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


@pytest.mark.usefixtures("exchanging")
@pytest.mark.parametrize("into", [True, False])
@pytest.mark.parametrize("function", ["fsync", "chmod"])
def test_a_change_while_it_is_written_is_kept(
    target: Path, monkeypatch: pytest.MonkeyPatch, function: str, into: bool
) -> None:
    real = getattr(os, function)

    def change(*given: Any) -> None:
        real(*given)
        _change(target, into)

    monkeypatch.setattr(os, function, change)
    with pytest.raises(WriteError, match="changed since it was read"):
        replace_file(target, OLD, NEW)
    monkeypatch.undo()
    alone(target, b"newer")


def _change(path: Path, into: bool) -> None:
    """What another process may do to a file: write into it, or put another in its place."""
    if into:
        path.write_bytes(b"newer")
    else:
        other = path.with_name("newer")
        other.write_bytes(b"newer")
        other.rename(path)


@pytest.mark.parametrize("into", [True, False])
def test_a_change_right_before_the_new_file_takes_its_place_is_kept(
    target: Path, monkeypatch: pytest.MonkeyPatch, into: bool
) -> None:
    exchange, changed = write._exchange, False

    def late(one: Path, other: Path) -> bool:
        nonlocal changed
        if not changed:
            changed = True
            _change(target, into)
        return exchange(one, other)

    if not exchange(target, target):
        pytest.skip("this system cannot exchange two files")
    monkeypatch.setattr(write, "_exchange", late)
    with pytest.raises(WriteError, match="changed since it was read"):
        replace_file(target, OLD, NEW)
    alone(target, b"newer")


def test_hard_links_stay(target: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    os.link(target, other)
    for before, after in ((OLD, NEW * 1000), (NEW * 1000, b"")):
        replace_file(target, before, after)
        assert other.read_bytes() == after
        assert os.path.samefile(target, other)
    assert sorted(os.listdir(tmp_path)) == ["other.py", "train.py"]
    target.write_bytes(b"newer")
    with pytest.raises(WriteError, match="changed since it was read"):
        replace_file(target, OLD, NEW)
    assert other.read_bytes() == b"newer"


def test_extended_attributes_stay(target: Path) -> None:
    try:
        os.setxattr(target, "user.origin", b"upstream")
    except (AttributeError, OSError):
        pytest.skip("there are no extended attributes here")
    replace_file(target, OLD, NEW)
    assert os.getxattr(target, "user.origin") == b"upstream"
    alone(target, NEW)


def test_what_cannot_be_given_to_another_file_is_kept_by_writing_into_the_file(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody else owns the file: it stays the same file."""
    status = os.stat(target)
    monkeypatch.setattr(write, "_make_like", raising(write._Unlike()))
    replace_file(target, OLD, NEW)
    alone(target, NEW)
    assert os.stat(target).st_ino == status.st_ino


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(target: Path) -> None:
    os.chown(target, 12345, 23456)
    target.chmod(0o640)
    replace_file(target, OLD, NEW)
    status = target.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o640)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(WriteError, match="not a regular file"):
        write_new(pipe, NEW)
    with pytest.raises(WriteError, match="not a regular file"):
        replace_file(pipe, OLD, NEW)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_an_output_that_is_read_only_is_refused(target: Path) -> None:
    target.chmod(0o444)
    with pytest.raises(WriteError, match="read-only"):
        write_new(target, NEW)
    alone(target, OLD)
