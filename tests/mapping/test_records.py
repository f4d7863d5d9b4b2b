"""A field of a table is one line in one class: what is read, checked, described and stored follows from it."""

import json
import pickle
from enum import StrEnum
from typing import Any

import pytest

from optmap.mapping.records import Literal, Position, Record, added, derived, key, own_key, place, store
from optmap.mapping.schema import record_schema
from optmap.mapping.yamlnodes import Problems, parse


class Mode(StrEnum):
    TRAIN = "train"
    TEST = "test"


class Part(Record):
    size: int = key("how large")
    rate: float = key("how fast", default=1.0)


class Layer(Record, title="layer"):
    name: str = own_key()
    path: str = key("the dotted path")
    modes: tuple[Mode, ...] = key("where it counts", default=(), or_one=True)
    value: Literal = key("any literal", default=None)
    has_value: bool = derived(lambda given: "value" in given)
    flag: bool = key("yes or no", default=False)
    words: dict[Mode, str] = key("mode -> word", default={})
    kind: str = key("one of two", default="a", choices=("a", "b"))
    start: tuple[int, int] | None = key("two numbers", default=None, given=str, read=lambda text: _two(text))
    parts: dict[str, Part] = key("name -> part", default={})
    at: Position = place()
    owner: str = added(default="")


class LayerPlus(Layer):
    """The same record with one field more, which is one line."""

    extra: tuple[Part, ...] = key("more parts", default=())


class File(Record):
    layers: dict[str, Layer] = key("name -> layer")


class FilePlus(Record):
    layers: dict[str, LayerPlus] = key("name -> layer")


def _two(text: str) -> tuple[int, int]:
    first, comma, second = text.partition(",")
    if not comma:
        raise ValueError(f"found {text!r}, expected two numbers")
    return int(first), int(second)


TEXT = """\
layers:
  dense:
    path: nn.Dense
    modes: train
    value: [1, [2.5, null]]
    words: {test: x}
    start: 1,2
    parts: {a: {size: 3, rate: 2}}
"""


def load(record: type[Record], text: str) -> Any:
    problems = Problems()
    parsed = parse(text.encode(), "t.yaml", record, problems)
    assert problems.lines() == []
    assert parsed is not None
    return parsed.plain()


def errors(text: str) -> list[str]:
    problems = Problems()
    parse(text.encode(), "t.yaml", File, problems)
    return problems.lines()


def test_a_mapping_becomes_a_record() -> None:
    layer = load(File, TEXT).layers["dense"]
    assert layer == Layer(
        name="dense", path="nn.Dense", modes=(Mode.TRAIN,), value=(1, (2.5, None)), has_value=True, words={Mode.TEST: "x"},
        start=(1, 2), parts={"a": Part(size=3, rate=2.0)}, at=Position("t.yaml", 3, 5),
    )  # fmt: skip
    assert layer.modes[0] is Mode.TRAIN
    assert next(iter(layer.words)) is Mode.TEST
    assert (layer.flag, layer.kind, layer.owner) == (False, "a", "")


def test_an_added_field_is_one_line() -> None:
    text = TEXT + "    extra: [{size: 7}]\n"
    assert errors(text)[0].startswith("t.yaml:9:5: unknown key 'extra'")
    layer = load(FilePlus, text).layers["dense"]
    assert layer.extra == (Part(size=7),)
    described = record_schema(LayerPlus)["properties"]
    assert set(described) - set(record_schema(Layer)["properties"]) == {"extra"}
    assert described["extra"]["description"] == "more parts"
    assert LayerPlus.restore(json.loads(json.dumps(store(layer)))) == layer


@pytest.mark.parametrize("text", [TEXT, "layers: {a: {path: p}}", "layers: {a: {path: p, value: null, flag: true}}"])
def test_the_stored_form_reads_back_equal(text: str) -> None:
    file = load(File, text)
    again = File.restore(json.loads(json.dumps(store(file))))
    assert again == file
    assert repr(again) == repr(file), "types are the same as well"


def test_trailing_defaults_are_not_stored() -> None:
    assert store(Part(size=3)) == [3]
    assert store(Part(size=3, rate=1)) == [3, 1], "an int is not the float that is the default"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layers: {a: {pth: p}}", "t.yaml:1:14: unknown key 'pth'; did you mean 'path'?"),
        ("layers: {a: {}}", "t.yaml:1:13: layer lacks 'path'"),
        ("layers: {a: []}", "t.yaml:1:13: found a list, expected a mapping (layer)"),
        ("layers: {a: {path: p, modes: [trian]}}", "t.yaml:1:31: unknown value 'trian'; did you mean 'train'?"),
        ("layers: {a: {path: p, words: {tset: x}}}", "t.yaml:1:31: unknown key 'tset'; did you mean 'test'?"),
        ("layers: {a: {path: p, kind: c}}", "t.yaml:1:29: unknown value 'c'; expected one of a, b"),
        ("layers: {a: {path: p, flag: yes}}", "t.yaml:1:29: found 'yes', expected true or false"),
        ("layers: {a: {path: p, start: x}}", "t.yaml:1:30: found 'x', expected two numbers"),
        ("layers: {a: {path: p, parts: {a: {size: 1.5}}}}", "t.yaml:1:41: found '1.5', expected a whole number"),
        ("layers: {a: {path: p, parts: {a: {size: 1, rate: x}}}}", "t.yaml:1:50: found 'x', expected a number"),
    ],
)
def test_an_error_names_place_found_and_expected(text: str, message: str) -> None:
    assert errors(text) == [message]


def test_a_record_is_a_value() -> None:
    part = Part(size=1)
    assert part._replace(rate=2.0) == Part(size=1, rate=2.0)
    assert pickle.loads(pickle.dumps(part)) == part
    assert repr(part) == "Part(size=1, rate=1.0)"
    with pytest.raises(TypeError, match="lacks 'size'"):
        Part()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no field weight"):
        Part(size=1, weight=2)  # type: ignore[call-arg]
    with pytest.raises(KeyError):
        part._replace(weight=2)
    with pytest.raises(AttributeError):
        part.size = 2  # type: ignore[misc]


def test_the_schema_says_what_the_loader_takes() -> None:
    found = record_schema(Layer)
    assert found["required"] == ["path"]
    assert found["properties"]["words"]["propertyNames"] == {"enum": ["train", "test"]}
    assert found["properties"]["start"] == {"description": "two numbers", "type": "string"}
    assert "name" not in found["properties"]


def test_types_have_to_be_there() -> None:
    """As strings, which `from __future__ import annotations` makes of them, they would all be taken for literals."""

    class Later(Record):
        part: "Part" = key("a record")

    with pytest.raises(TypeError, match="found 'Part' in quotes"):
        record_schema(Later)
