"""The table of what training scripts use beside optimizers, from mappings/steps/modules.yaml."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from optmap.mapping.load import MappingError, default_directory
from optmap.mapping.model import Framework, Literal
from optmap.mapping.yamlnodes import Any_, Field, Flag, ListOf, MapOf, Parsed, Problems, Record, Text, parse

_PARAMETER = Record(
    "parameter",
    {
        "name": Field(Text(), "the name in the signature", required=True),
        "is": Field(Text(), "what it is tied by; its own name by default"),
        "default": Field(Any_(), "the default; required without one"),
        "keyword_only": Field(Flag(), "cannot be given by position"),
        "execution": Field(Flag(), "changes how, not what, is computed"),
        "tied": Field(Flag(), "false where parameters of one name mean different things"),
        "write": Field(Any_(), "written out whenever the class is a target"),
        "same_as": Field(Text(), "the parameter whose value a default of null stands for"),
        "call": Field(Flag(), "given when the object is called, where the row's other side is a class"),
        "kind": Field(Text(("any",)), "`any` stands for any number of positional arguments"),
    },
)
_SIDE = Record(
    "side",
    {
        "path": Field(Text(), "the dotted path", required=True),
        "note": Field(Text(), "something to know when this is the target"),
        "parameters": Field(ListOf(_PARAMETER), "the signature", required=True),
    },
)
_BASE = Record("base", {"path": Field(Text(), "", required=True), "method": Field(Text(), "", required=True)})
_NAMES = tuple(str(item) for item in Framework)
_GRAPH = Record(
    "graph",
    {
        "dense": Field(
            Record(
                "layer",
                {"path": Field(Text(), "", required=True), "parameters": Field(ListOf(Text()), "", required=True)},
            ),
            "the dense layer",
            required=True,
        ),
        "reductions": Field(MapOf(Text()), "the members of losses.Reduction", required=True),
        "losses": Field(
            ListOf(
                Record(
                    "loss",
                    {
                        "path": Field(Text(), "", required=True),
                        "parameters": Field(ListOf(Text()), "labels and predictions first", required=True),
                        "becomes": Field(Text(), "a function of predictions and labels", required=True),
                    },
                )
            ),
            "functions that make loss nodes",
            required=True,
        ),
    },
)
_SHAPE = Record(
    "table",
    {
        "graph": Field(_GRAPH, "what TensorFlow 1 graphs are built of", required=True),
        "verified": Field(MapOf(Text()), "the versions whose live signatures the rows equal", required=True),
        "callables": Field(
            MapOf(Record("row", {name: Field(_SIDE, "") for name in _NAMES})), "classes and functions", required=True
        ),
        "values": Field(ListOf(Record("value", {name: Field(Text(), "") for name in _NAMES})), "constants", required=True),
        "bases": Field(ListOf(Record("base", {name: Field(_BASE, "") for name in _NAMES})), "classes", required=True),
    },
)  # fmt: skip
FILE = "mappings/steps/modules.yaml"


class Parameter(NamedTuple):
    """A parameter of a callable; `tie` is what it shares with those of other frameworks, None where nothing."""

    name: str
    tie: str | None
    required: bool
    default: Literal
    keyword_only: bool
    execution: bool
    written: bool
    write: Literal
    same_as: str | None
    call: bool
    any: bool


class Side(NamedTuple):
    """A class or function of one framework; `table` is the place of its row."""

    path: str
    note: str | None
    parameters: tuple[Parameter, ...]
    table: str


class Base(NamedTuple):
    """A class to derive models from, and the method that computes their output."""

    path: str
    method: str


class GraphFunction(NamedTuple):
    """A function that adds a node to a TensorFlow 1 graph: its parameters in order, and what the node becomes."""

    path: str
    parameters: tuple[str, ...]
    becomes: str


class Graph(NamedTuple):
    """What TensorFlow 1 graphs are built of; paths begin behind `tf` or `tf.compat.v1`."""

    dense: GraphFunction
    losses: dict[str, GraphFunction]
    reductions: dict[str, str]


class Table(NamedTuple):
    """The rows of a pair of frameworks, by the source's path."""

    callables: dict[str, tuple[Side, Side]]
    values: dict[str, str]
    bases: dict[str, tuple[Base, Base]]
    graph: Graph


@lru_cache(maxsize=4)
def load_table(source: Framework, target: Framework) -> Table:
    """Read the table for a pair of frameworks. Raises MappingError."""
    problems = Problems()
    path = default_directory() / "steps" / "modules.yaml"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MappingError([f"{FILE}: cannot be read: {error.strerror}"]) from None
    parsed = parse(content, FILE, _SHAPE, problems)
    if parsed is None or problems.found:
        raise MappingError(problems.lines())
    rows = (item.value for _, item in parsed.value["callables"].items())
    pairs = [(_side(row[source]), _side(row[target])) for row in rows if source in row and target in row]
    values = [item.plain() for item in parsed.value["values"].value]
    bases = [item.plain() for item in parsed.value["bases"].value]
    both = [(item[source], item[target]) for item in bases if source in item and target in item]
    return Table(
        {one.path: (one, other) for one, other in pairs},
        {item[source]: item[target] for item in values if source in item and target in item},
        {one["path"]: (Base(**one), Base(**other)) for one, other in both},
        _graph(parsed.value["graph"].plain()),
    )


def _graph(item: dict[str, Any]) -> Graph:
    functions = [GraphFunction(**loss) for loss in item["losses"]]
    dense = GraphFunction(**item["dense"], becomes="mindspore.nn.Dense")
    return Graph(dense, {function.path: function for function in functions}, item["reductions"])


def _side(item: Parsed) -> Side:
    parameters = tuple(_parameter(entry) for entry in item.value["parameters"].value)
    return Side(item.get("path"), item.get("note"), parameters, str(item.at))


def _parameter(item: Parsed) -> Parameter:
    given = item.value
    name = item.get("name")
    execution = item.get("execution", False)
    tied = item.get("tied", True) and not execution
    return Parameter(
        name, item.get("is", name) if tied else None, "default" not in given, item.get("default"),
        item.get("keyword_only", False), execution, "write" in given, item.get("write"), item.get("same_as"),
        item.get("call", False), item.get("kind") == "any",
    )  # fmt: skip
