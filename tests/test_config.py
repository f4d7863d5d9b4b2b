"""[tool.optmap]: found in the nearest pyproject.toml, and every mistake in it is one clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from optmap.config import ConfigError, Settings, find_settings, read_settings
from optmap.diagnostics import CODES
from optmap.mapping.framework import Framework
from optmap.mapping.plan import Prefer
from optmap.selection import Selection


def write(directory: Path, text: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def failure(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_settings(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_every_setting(tmp_path: Path) -> None:
    text = """
[tool.optmap]
from = "torch"
to = "tensorflow"
faithful = true
strict = true
params = "net.trainable_params()"
exclude = ["tests/", "*.pyi"]
mappings = ["tables", "/abs"]
select = ["OM1", "OM203"]
ignore = ["small-numeric-difference"]
rewrite-step = true
verbose = true
statistics = true

[tool.optmap.per-file-ignores]
"old/" = ["OM203"]

[tool.optmap.set]
steps_per_epoch = 30

[tool.optmap.versions]
torch = "1.13"
keras = "2.10"
"""
    some = frozenset(id for id in CODES if id.startswith("OM1") or id == "OM203")
    files = {"old/": frozenset({"OM203"})}
    assert read_settings(write(tmp_path, text)) == Settings(
        "torch",
        Framework("tensorflow"),
        Prefer.FAITHFUL,
        True,
        "net.trainable_params()",
        ("tests/", "*.pyi"),
        (tmp_path / "tables", Path("/abs")),
        {"torch": "1.13", "keras": "2.10"},
        Selection(some, frozenset({"OM110"}), files, tmp_path),
        {"steps_per_epoch": 30},
        rewrite_step=True,
        verbose=True,
        statistics=True,
    )


@pytest.mark.parametrize(
    "text", ["", "[tool]\n", "[tool.optmap]\n", "[project]\nname = 'x'\n", "[tool.other]\nfrom = 1\n", "tool = 3\n"]
)
def test_no_settings(tmp_path: Path, text: str) -> None:
    assert read_settings(write(tmp_path, text)) == Settings(None, None, Prefer.AUTO, False, None, (), ())


def test_auto_is_a_source(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, "[tool.optmap]\nfrom = 'auto'\n")).source == "auto"


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("faithfull", "faithful"),
        ("mapping", "mappings"),
        ("param", "params"),
        ("form", "from"),
        ("excludes", "exclude"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path: Path, key: str, nearest: str) -> None:
    message = failure(write(tmp_path, f"[tool.optmap]\n{key} = 'x'\n"))
    assert f"unknown key {key!r}; did you mean {nearest!r}?" in message


def test_an_unknown_key_like_no_other_names_them_all(tmp_path: Path) -> None:
    message = failure(write(tmp_path, "[tool.optmap]\nzzz = 1\n"))
    assert "'zzz'" in message
    assert all(name in message for name in ("from", "to", "faithful", "strict", "params", "exclude", "mappings"))


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("faithful = 'yes'", ("faithful", "'yes'", "true or false")),
        ("prefer = 'usual'", ("prefer", "'usual'", "auto, documented, faithful")),
        ("prefer = 'auto'\nfaithful = true", ("faithful = true", "prefer = 'auto'")),
        ("strict = 1", ("strict", "found 1", "true or false")),
        ("params = true", ("params", "True", "a string")),
        ("to = 3", ("to", "3", "a string")),
        ("from = ['torch']", ("from", "a string")),
        ("exclude = 'tests'", ("exclude", "'tests'", "a list of strings")),
        ("exclude = ['a', 1]", ("exclude", "a list of strings")),
        ("mappings = {a = 'b'}", ("mappings", "a list of strings")),
        ("select = ['OM999']", ("select", "'OM999'")),
        ("ignore = 'OM203'", ("ignore", "a list of strings")),
        ("per-file-ignores = {a = 'OM203'}", ("per-file-ignores 'a'", "a list of codes")),
        ("per-file-ignores = {a = ['OM']}", ("per-file-ignores 'a'", "'OM'")),
        ("set = {steps = 3}", ("set", "'total_steps'")),
        ("set = {total_steps = 0}", ("total_steps", "a whole number above 0")),
        ("rewrite_step = true", ("rewrite_step", "'rewrite-step'")),
    ],
)
def test_a_wrong_type(tmp_path: Path, line: str, fragments: tuple[str, ...]) -> None:
    message = failure(write(tmp_path, f"[tool.optmap]\n{line}\n"))
    assert all(fragment in message for fragment in fragments), message


@pytest.mark.parametrize("key", ["from", "to"])
def test_an_unknown_framework(tmp_path: Path, key: str) -> None:
    message = failure(write(tmp_path, f"[tool.optmap]\n{key} = 'jax'\n"))
    assert "'jax'" in message
    assert "torch, tensorflow, mindspore" in message


def test_auto_is_no_target(tmp_path: Path) -> None:
    assert "'auto'" in failure(write(tmp_path, "[tool.optmap]\nto = 'auto'\n"))


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    assert "expected a table" in failure(write(tmp_path, "[tool]\noptmap = 'x'\n"))
    assert "expected a table" in failure(write(tmp_path, "[[tool.optmap]]\nto = 'torch'\n"))


@pytest.mark.parametrize(
    "data",
    [
        b"[tool.optmap\n",
        b"\xff\xfe",
        b"optmap = \n",
        b"optmap = 1\noptmap = 2\n",
        b"optmap\x00",
        b"[tool.optmap]\nto = 'a\nb'\n",
    ],
)
def test_toml_that_is_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(data)
    failure(path)


def test_toml_without_the_section_is_not_parsed(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, "a = \n")) == Settings()


def test_a_key_with_escapes(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path, '[tool."opt\\u006dap"]\nstrict = true\n')) == Settings(strict=True)


def test_toml_that_is_nested_too_deeply(tmp_path: Path) -> None:
    failure(write(tmp_path, "optmap = " + "[" * 5000 + "]" * 5000))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    failure(tmp_path / "gone.toml")
    failure(tmp_path)


def test_the_nearest_file_above_decides(tmp_path: Path) -> None:
    write(tmp_path, "[tool.optmap]\nto = 'torch'\n")
    write(tmp_path / "a", "[tool.optmap]\nstrict = true\n")
    (tmp_path / "a" / "b").mkdir()
    (tmp_path / "c").mkdir()
    assert find_settings(tmp_path / "a" / "b") == Settings(strict=True)
    assert find_settings(tmp_path / "c") == Settings(to=Framework("torch"))


def test_directories_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    write(tmp_path / "a", "[tool.optmap]\nmappings = ['tables']\n")
    (tmp_path / "a" / "b").mkdir()
    assert find_settings(tmp_path / "a" / "b").mappings == ((tmp_path / "a").resolve() / "tables",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pytorch = '1.13'", "unknown package 'pytorch'; did you mean 'torch'?"),
        ("torch = 1.13", '[tool.optmap.versions] torch: found 1.13, expected a string such as "1.13"'),
        ("torch = '9.9'", "found torch 9.9, but the tables cover torch 1.8 to 2.15 only"),
        ("torch = 'latest'", "[tool.optmap.versions] torch: found version 'latest', expected numbers such as"),
    ],
)
def test_wrong_versions(tmp_path: Path, text: str, found: str) -> None:
    assert found in failure(write(tmp_path, f"[tool.optmap.versions]\n{text}\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.ruff]\nline-length = 100\n", 100),
        ("[tool.black]\nline-length = 79\n\n[tool.optmap]\nstrict = true\n", 79),
        ("[tool.ruff]\nline-length = 100\n[tool.black]\nline-length = 79\n", 100),
        ("[tool.ruff]\nline-length = '100'\n", 0),
        ("[tool.ruff]\nline-length = 5000\n", 0),
        ("tool = 3\nline-length = 3\n", 0),
        ("[tool.ruff\nline-length = 100\n", 0),
    ],
)
def test_the_length_of_lines_is_the_formatters(tmp_path: Path, text: str, expected: int) -> None:
    assert read_settings(write(tmp_path, text)).line_length == expected
