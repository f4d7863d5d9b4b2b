"""Optimizers in configuration files: found where they stand, and said as the call that they stand for."""

from __future__ import annotations

import ast
import json
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.translate.configs import config_diagnostics
from optmap.translate.configs.nodes import Broken, ConfigNode, read_json, read_toml, read_yaml
from optmap.translate.options import Options

EVERY = frozenset(Framework) - {Framework("mindspore")}


def say(tables: MappingSet, name: str, text: str, **options: Any) -> list[tuple[int, int, str, str]]:
    """(line, column, code, message) of everything said about a file; the message with its code."""
    chosen = Options(
        Framework("mindspore"), frozenset({options.pop("source")}) if "source" in options else EVERY, **options
    )
    error, found = config_diagnostics(textwrap.dedent(text).encode(), Path(name), tables, chosen)
    assert error is None
    return [(item.line, item.column, item.code.id, f"{item.message}\n{item.replacement or ''}") for item in found]


def call(message: str) -> str:
    """The constructor call that a message shows, which must be an expression."""
    text = message.partition("\n")[2]
    ast.parse(text, mode="eval")
    return text


@pytest.mark.parametrize(
    ("text", "line", "column", "expected"),
    [
        ("optimizer: {type: SGD, lr: 0.1, momentum: 0.9}", 1, 19,
         "mindspore.nn.SGD(model.trainable_params(), learning_rate=0.1, momentum=0.9)"),
        ("a:\n  optimizer:\n    _target_: torch.optim.Adam\n    lr: 1e-2\n    betas: [0.8, 0.99]\n    _partial_: true", 3, 15,
         "mindspore.nn.Adam(model.trainable_params(), learning_rate=0.01, beta1=0.8, beta2=0.99)"),
        ("optimizer:\n  class_path: torch.optim.Adamax\n  init_args: {lr: 0.01}", 2, 15,
         "mindspore.nn.AdaMax(model.trainable_params(), learning_rate=0.01)"),
        ("optimizer: torch.optim.SGD", 1, 12, "mindspore.nn.SGD(model.trainable_params(), learning_rate=0.001)"),
        ("optimizer: {class_name: Adam, config: {learning_rate: 0.01, name: Adam}}", 1, 25,
         "mindspore.nn.Adam(model.trainable_params(), learning_rate=0.01, eps=1e-07)"),
        ("optimizer: {sgd: {lr: 0.1}}", 1, 18, "mindspore.nn.SGD(model.trainable_params(), learning_rate=0.1)"),
        ("optimizers:\n  - {name: SGD, lr: 0.1}\n  - {name: SGD, lr: 0.2}", 2, 12,
         "mindspore.nn.SGD(model.trainable_params(), learning_rate=0.1)"),
        ("base: &base {type: SGD, lr: 0.1}\noptimizer:\n  <<: *base\n  momentum: 0.9", 1, 20,
         "mindspore.nn.SGD(model.trainable_params(), learning_rate=0.1, momentum=0.9)"),
        ("a: 1\n---\noptimizer: {type: SGD, lr: 0.1}", 3, 19,
         "mindspore.nn.SGD(model.trainable_params(), learning_rate=0.1)"),
    ],
)  # fmt: skip
def test_yaml(tables: MappingSet, text: str, line: int, column: int, expected: str) -> None:
    first = say(tables, "a.yaml", text)[0]
    assert first[:3] == (line, column, "OM324")
    assert call(first[3]) == expected


def test_json_with_tabs(tables: MappingSet) -> None:
    text = '{\n\t"optimizer": {"type": "AdamW", "params": {"lr": 0.001, "betas": [0.9, 0.95], "weight_decay": 0.05}}\n}'
    ((line, column, code, message),) = say(tables, "ds.json", text)
    assert (line, column, code) == (2, 24, "OM324")
    assert call(message) == (
        "mindspore.experimental.optim.AdamW(model.trainable_params(), lr=0.001, betas=(0.9, 0.95), weight_decay=0.05)"
    )


def test_toml(tables: MappingSet) -> None:
    text = """\
    title = '''
    [optimizer]
    type = "Adam"
    '''
    [[runs]]
    optimizer = { name = "SGD", lr = 0.1 }   # optimizer = "x"
    [[runs]]
    optimizer.name = "SGD"
    optimizer.lr = 0.2
    [runs.inner.optimizer]
    type = "Adamax"
    lr = 0.3
    """
    found = say(tables, "a.toml", text)
    assert [item[:3] for item in found] == [(6, 22, "OM324"), (8, 18, "OM324"), (11, 8, "OM324")]
    assert "learning_rate=0.1)" in found[0][3]
    assert "learning_rate=0.2)" in found[1][3]


def test_a_name_that_two_frameworks_know(tables: MappingSet) -> None:
    ((_, _, code, message),) = say(tables, "a.yaml", "optimizer: Adam")
    assert code == "OM325"
    assert "torch.optim.Adam or tf.keras.optimizers.Adam" in message
    assert "--from" in message
    ((_, _, code, message),) = say(tables, "a.yaml", "optimizer: Adam", source=Framework("torch"))
    assert code == "OM324"
    assert call(message) == "mindspore.nn.Adam(model.trainable_params())"


def test_settings_that_the_class_does_not_take_are_named(tables: MappingSet) -> None:
    ((_, _, _, message),) = say(tables, "a.yaml", "optimizer: {type: SGD, lr: 0.1, paramwise_cfg: {norm: 0}}")
    assert "paramwise_cfg beside it is not part of this" in message
    ((_, _, _, message),) = say(tables, "a.yaml", "optimizer: torch.optim.SGD\nlr: 0.1\nepochs: 3")
    assert "lr beside it is not part of this" in message
    assert "epochs" not in message


def test_an_argument_that_does_not_exist_is_said(tables: MappingSet) -> None:
    text = "optimizer: {_target_: torch.optim.SGD, learning_rate: 0.1}"
    ((_, _, code, message),) = say(tables, "a.yaml", text)
    assert code == "OM325"
    assert "no argument 'learning_rate'" in message


def test_values_that_are_no_hyperparameters_are_said(tables: MappingSet) -> None:
    for value, what in (("{a: 1}", "a mapping"), ("[[1]]", "a list of lists"), ("auto", "'auto'")):
        ((_, _, code, message),) = say(tables, "a.yaml", f"optimizer: {{_target_: torch.optim.Adam, lr: {value}}}")
        assert code == "OM325"
        assert what in message


def test_interpolations_are_passed_on(tables: MappingSet) -> None:
    ((_, _, _, message),) = say(tables, "a.yaml", "optimizer: {_target_: torch.optim.SGD, lr: '${lr}'}")
    assert "learning_rate=${lr}" in message


@pytest.mark.parametrize(
    "text",
    [
        "model: Adam\nname: SGD",
        "optim: x.pt\nopt_level: O1",
        "optimizer: ${optimizer}",
        "optimizer: null",
        "optimizer: {scheduler: step}",
        "defaults:\n  - optimizer: adam",
        "optimizer: true\noptimizer_steps: 3",
        "_target_: torch.nn.Linear\nclass_path: torch.nn.Adam",
        "optimizer: AdamW  # optmap: ignore",
        "",
        "just text",
    ],
)
def test_nothing_is_said(tables: MappingSet, text: str) -> None:
    assert say(tables, "a.yaml", text) == []


@pytest.mark.parametrize(
    ("name", "data", "line", "fragment"),
    [
        ("a.yaml", b"a: [1\nb: 2\n", 2, "not valid YAML"),
        ("a.yml", b"a: \x01\n", 1, "not valid YAML"),
        ("a.yaml", b"a: *none\n", 1, "not valid YAML"),
        ("a.json", b'{"a": 1,}', 1, "not valid JSON"),
        ("a.json", b"", 1, "not valid JSON"),
        ("a.json", b'\n{"a": 01}', 2, "not valid JSON"),
        ("a.toml", b"a = 1\nb = \n", 2, "not valid TOML"),
        ("a.toml", b"a = 1\na = 2\n", 2, "not valid TOML"),
        ("a.yaml", b"a: 1\nb: \xff\n", 2, "0xff"),
        ("a.json", b"[" * 100_000, 1, "nested too deeply"),
        ("a.yaml", b"[" * 100_000, 1, "nested too deeply"),
        ("a.toml", b"a = " + b"[" * 100_000, 1, "nested too deeply"),
        ("a.toml", b"a" + b" . 'a'" * 100_000 + b" = 1", 1, "nested too deeply"),
        ("a.toml", b"[a" + b".a" * 100_000 + b"]", 1, "nested too deeply"),
        ("a.toml", b"a = " + b"9" * 5000, 1, "not valid TOML: Exceeds the limit"),
    ],
)
def test_broken_files(tables: MappingSet, name: str, data: bytes, line: int, fragment: str) -> None:
    error, (item,) = config_diagnostics(data, Path(name), tables, Options(Framework("mindspore"), EVERY))
    assert error is not None
    assert fragment in error
    assert (item.code.id, item.line) == ("OM440", line)


def test_aliases_of_aliases_and_into_themselves(tables: MappingSet) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}]" for i in range(1, 60))]
    text = "\n".join([*lines, "me: &me {again: *me, optimizer: {_target_: torch.optim.SGD, lr: 0.1}}"])
    assert [item[2] for item in say(tables, "a.yaml", text)] == ["OM324"]


def plain(node: ConfigNode) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@given(VALUES, st.sampled_from([None, 1, "\t"]))
def test_json_reads_what_the_json_module_reads(value: Any, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent)
    assert plain(read_json(text)[0]) == json.loads(text)


@given(st.recursive(st.integers() | st.text("ab=[]{}#\"'\\., \n", max_size=6), lambda inner: st.lists(inner, max_size=3)
       | st.dictionaries(st.sampled_from(["optimizer", "a b", "type"]), inner, max_size=3)))  # fmt: skip
def test_toml_places_are_those_of_the_values(value: Any) -> None:
    """Every scalar of an inline table stands where it is said to."""
    text = f"first = 1\nkey = {_toml(value)}\nlast = 2\n"
    (node,) = read_toml(text)
    assert plain(node) == tomllib.loads(text)
    lines = text.split("\n")
    assert isinstance(node.value, dict)
    _check_places(node.value["key"], lines)
    assert (node.value["last"].line, node.value["last"].column) == (len(lines) - 1, 8)


def _check_places(node: ConfigNode, lines: list[str]) -> None:
    if isinstance(node.value, dict):
        for item in node.value.values():
            _check_places(item, lines)
    elif not isinstance(node.value, list):
        assert lines[node.line - 1][node.column - 1 :].startswith(_toml(node.value))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
NUMBERS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    NUMBERS | ASCII, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ASCII, inner, max_size=3)
)


@given(TREES)
def test_yaml_reads_json(value: Any) -> None:
    """YAML 1.2 contains JSON; `<<` alone means something else there."""
    text = json.dumps(value)
    if '"<<"' not in text:
        assert plain(read_yaml(text)[0]) == value


@given(st.binary(max_size=60), st.sampled_from(["a.yaml", "a.json", "a.toml"]))
def test_no_content_is_a_surprise(tables: MappingSet, data: bytes, name: str) -> None:
    config_diagnostics(data, Path(name), tables, Options(Framework("mindspore"), EVERY))


FRAGMENTS = ["optimizer", ": ", "{", "}", "[", "]", "type: Adam", "\n", "  ", "- ", "lr: 1", ", ", "&a ", "*a", "<<: *a",
             "_target_: torch.optim.SGD", "config:", '"', "'", "#", "!!python/object:os.system", "? ", "|", ">"]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14))
def test_no_yaml_is_a_surprise(tables: MappingSet, parts: list[str]) -> None:
    config_diagnostics("".join(parts).encode(), Path("a.yaml"), tables, Options(Framework("mindspore"), EVERY))


def test_errors_are_of_one_kind() -> None:
    for read, text in ((read_yaml, "a: ["), (read_json, "["), (read_toml, "a")):
        with pytest.raises(Broken):
            read(text)
