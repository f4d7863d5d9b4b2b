"""The table of what training scripts use beside optimizers (mappings/steps/modules.yaml): layers, losses, tensors, bases."""

import ast
from collections.abc import Iterable, Mapping
from functools import lru_cache

from optmap.mapping.framework import Framework
from optmap.mapping.records import Literal, Position, Record, key, place, store
from optmap.mapping.stored import Contents, MappingError, stored
from optmap.values import NamedTuple

_MARKS = ("own", "execution", "call", "inplace")
"""What an annotation says of a parameter that is tied to nothing."""
_GIVES = ("float", "int", "bool", "same", "tensor", "tensors", "parameter", "number", "array")
_KINDS = (
    "int",
    "float",
    "number",
    "dtype",
    "float_dtype",
    "device",
    "items",
    "literal",
    "parameter",
    "size",
    "tensor",
    "true",
    "mean",
)


class Parameter(NamedTuple):
    """A parameter of a callable; `tie` is what it shares with those of other frameworks, None where nothing.

    `mark` is its annotation where that is no tie: `own`, `execution` (how, not what, is computed), `call` (given when the
    object is called), `inplace` (may change the argument). `any` stands for any number of positional arguments.
    """

    name: str
    tie: str | None
    required: bool
    default: Literal = None
    keyword_only: bool = False
    mark: str = ""
    any: bool = False


class Side(NamedTuple):
    """A class, function, method or attribute of one framework: its path, behind `x.` for what is asked of a tensor x.

    `parameters` is None for an attribute. `text` is code in which `$x` and `$name` stand for what is given, and dotted paths
    of the framework for what lies there.
    """

    path: str
    parameters: tuple[Parameter, ...] | None = ()
    text: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


class Row(Record):
    """One class, function, method or attribute in every framework."""

    at: Position = place()
    sides: dict[Framework, str] = key("framework -> the live signature")
    also_from: tuple[Framework, ...] = key("frameworks from which it is used beside that of its first side", default=())
    gives: str = key("what a call gives, of a class what its objects give", default="float", choices=_GIVES)
    takes: str = key(
        "the type of tensor that it is right for",
        default="any",
        choices=("any", "number", "float", "parameter", "fresh"),
    )
    writes: dict[Framework, str] = key(
        "arguments that are written out whenever the framework is the target", default={}
    )
    same_as: dict[str, str] = key("parameter -> the parameter whose value a default of None stands for", default={})
    only: dict[str, str] = key("parameter -> what it must be", default={}, choices=_KINDS)
    attributes: tuple[dict[Framework, str], ...] = key("attributes of a class's objects", default=())
    outside: dict[Framework, str] = key("what it becomes where no gradients are recorded", default={})
    passes: bool = key("the class's objects may give the very tensor that they are given", default=False)
    sequence: bool = key("the class's objects hold the models that they are given", default=False)
    statistics: bool = key("the target's objects hold statistics among their parameters", default=False)
    notes: dict[Framework, str] = key("something to know when the framework is the target", default={})
    warns: dict[Framework, str] = key("what may be computed otherwise when the framework is the target", default={})


class Pair(NamedTuple):
    """A row as it is for one pair of frameworks."""

    one: Side
    other: Side
    row: Row
    writes: Mapping[str, str]
    """Arguments as code; a dotted path of the target stands for what lies there."""
    attributes: Mapping[str, str]
    outside: Side | None
    note: str | None
    warning: str | None

    @property
    def makes_model(self) -> bool:
        """Tell whether its function makes objects that are called, as classes of layers and losses do."""
        called = (
            self.other.name[:1].isupper()
            or self.other.text.startswith("(lambda ")
            or self.other.text.partition("(")[0].rpartition(".")[2][:1].isupper()
            or any(item.mark == "call" for item in self.other.parameters or ())
        )
        return self.one.name[:1].isupper() and called and self.row.gives != "parameter"

    @property
    def place(self) -> str:
        """The place of its row."""
        return str(self.row.at)


class Base(Record):
    """A class to derive models from, and the method that computes their output."""

    path: str = key("the dotted path")
    method: str = key("the method that computes the output")


class Names(Record):
    """The public names of a framework's own objects."""

    tensor: tuple[str, ...] = key("of tensors", given=str, read=lambda text: tuple(text.split()), default=())
    model: tuple[str, ...] = key("of models", given=str, read=lambda text: tuple(text.split()), default=())


class GraphFunction(Record, title="graph function"):
    """A function that adds a node to a TensorFlow 1 graph: its parameters in order, and what the node becomes."""

    path: str = key("the path behind `tf` or `tf.compat.v1`")
    parameters: tuple[str, ...] = key("its parameters in order; of a loss, labels and predictions first")
    becomes: str = key("the class that a layer becomes, the function of predictions and labels that a loss becomes")


class Graph(Record):
    """What TensorFlow 1 graphs are built of."""

    dense: GraphFunction = key("the dense layer")
    reductions: dict[str, str] = key("the members of losses.Reduction")
    losses: dict[str, GraphFunction] = key(
        "functions that make loss nodes",
        given=tuple[GraphFunction, ...],
        read=lambda given: {item.path: item for item in given},
    )


class StepsFile(Record, title="table"):
    """All that the file holds."""

    graph: Graph = key("what TensorFlow 1 graphs are built of")
    verified: dict[Framework, str] = key("the versions whose live signatures the rows equal")
    callables: dict[str, Row] = key("classes and functions")
    methods: dict[str, Row] = key("what is asked of tensors")
    models: dict[str, Row] = key("what is asked of models")
    operators: tuple[str, ...] = key("operators that mean the same on tensors of every framework")
    boolean_operators: tuple[str, ...] = key("those that mean the same on tensors of booleans alone")
    names: dict[Framework, Names] = key("every public name of tensors and models")
    aliases: dict[Framework, dict[str, str]] = key("keyword -> the one that it is another name of")
    paths: dict[Framework, dict[str, str]] = key("path -> the one by which rows call the same", default={})
    plain: tuple[str, ...] = key("paths of what gives neither tensors nor models")
    open: tuple[str, ...] = key("paths of what gives values of any framework, such as loaders of data")
    values: tuple[dict[Framework, str], ...] = key("constants")
    bases: tuple[dict[Framework, Base], ...] = key("classes to derive models from")


class Table(NamedTuple):
    """The rows of a pair of frameworks, by the source's path, and those of tensors by name."""

    callables: Mapping[str, tuple[Pair, ...]]
    methods: Mapping[str, tuple[Pair, ...]]
    values: Mapping[str, str]
    bases: Mapping[str, tuple[Base, Base]]
    operators: frozenset[str]
    boolean_operators: frozenset[str]
    models: Mapping[str, Pair]
    aliases: Mapping[str, str]
    plain: tuple[str, ...]
    open: tuple[str, ...]
    called: Mapping[str, str]
    """Other paths of the source by which what rows know is called."""
    tensor_names: frozenset[str]
    model_names: frozenset[str]
    taken: frozenset[str]
    """Names that the target's models have, so that a model of the file may not give them a meaning of its own."""


@lru_cache(maxsize=4)
def load_table(source: Framework, target: Framework) -> Table:
    """Load the table for a pair of frameworks. Raises MappingError."""
    file = load_file()
    methods = _grouped((item.one.name, item) for item in _pairs(file.methods, source, target))
    bases = [(row[source], row[target]) for row in file.bases if {source, target} <= row.keys()]
    own, other = file.names.get(source), file.names.get(target)
    return Table(
        _grouped((item.one.path, item) for item in _pairs(file.callables, source, target)),
        methods,
        {
            row[source]: row[target] for row in reversed(file.values) if {source, target} <= row.keys()
        },  # the first counts
        {one.path: (one, other) for one, other in bases},
        frozenset(file.operators),
        frozenset(file.boolean_operators),
        {item.one.name: item for item in _pairs(file.models, source, target)},
        file.aliases.get(source, {}),
        file.plain,
        file.open,
        file.paths.get(source, {}),
        frozenset(own.tensor if own is not None else ()),
        frozenset(own.model if own is not None else ()),
        frozenset(other.model if other is not None else ()),
    )


def _grouped(items: Iterable[tuple[str, Pair]]) -> dict[str, tuple[Pair, ...]]:
    """Rows by name; those of one name differ in their arguments."""
    found: dict[str, tuple[Pair, ...]] = {}
    for name, item in items:
        found[name] = (*found.get(name, ()), item)
    return found


def _pairs(rows: Mapping[str, Row], source: Framework, target: Framework) -> list[Pair]:
    """The rows that both frameworks have and that are used from the source.

    What is always written for the source says nothing of other ways to write it.
    """
    used = (row for row in rows.values() if source in (next(iter(row.sides)), *row.also_from))
    both = (row for row in used if {source, target} <= row.sides.keys() and source not in row.writes)
    return [_pair(row, source, target) for row in both]


def _pair(row: Row, source: Framework, target: Framework) -> Pair:
    return Pair(
        side_of(row.sides[source]), side_of(row.sides[target]), row, _arguments(row.writes.get(target, "")),
        {item[source]: item[target] for item in row.attributes if {source, target} <= item.keys()},
        side_of(row.outside[target]) if target in row.outside else None, row.notes.get(target), row.warns.get(target),
    )  # fmt: skip


def side_of(text: str) -> Side:
    """Read `path(a, b: tie = 1, *, c=None)`, a path alone, or a template with `$`. Raises ValueError or SyntaxError."""
    if "$" in text or text.startswith("("):
        return Side("", None, text)
    path, bracket, _ = text.partition("(")
    if not bracket:
        return Side(path, None)
    function = ast.parse(f"def f{text.removeprefix(path)}: pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    given = function.args
    plain = [*given.args[: len(given.args) - len(given.defaults)]]
    found = [_parameter(item, None) for item in plain]
    found += [_parameter(item, value) for item, value in zip(given.args[len(plain) :], given.defaults, strict=True)]
    found += [
        _parameter(item, value)._replace(keyword_only=True)
        for item, value in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    if given.vararg is not None:
        found.append(_parameter(given.vararg, None)._replace(required=False, any=True))
    return Side(path, tuple(found))


def _parameter(item: ast.arg, default: ast.expr | None) -> Parameter:
    says = ast.unparse(item.annotation) if item.annotation is not None else item.arg
    mark = says if says in _MARKS and item.annotation is not None else ""
    value = ast.literal_eval(default) if default is not None else None
    return Parameter(item.arg, None if mark else says, default is None, value, mark=mark)


def _arguments(text: str) -> Mapping[str, str]:
    call = ast.parse(f"f({text})", mode="eval").body
    assert isinstance(call, ast.Call)
    return {str(word.arg): ast.unparse(word.value) for word in call.keywords}


def load_graph() -> Graph:
    """Load what is known of TensorFlow 1 graphs. Raises MappingError."""
    return load_file().graph


@lru_cache(maxsize=1)
def load_file() -> StepsFile:
    """Load the whole table. Raises MappingError."""
    return stored("steps", "steps", build, store, StepsFile.restore)


def build(contents: Contents) -> StepsFile:
    """Build the table of its only file, given as (name, content). Raises MappingError."""
    from optmap.mapping.yamlnodes import Problems, parse

    problems = Problems()
    ((name, data),) = contents
    parsed = parse(data, name, StepsFile, problems)
    if parsed is None or problems.found:
        raise MappingError(problems.lines())
    made = parsed.make(StepsFile)
    wrong = [_fault(row) for rows in (made.callables, made.methods, made.models) for row in rows.values()]
    if any(wrong):
        raise MappingError(line for line in wrong if line)
    return made


def _fault(row: Row) -> str:
    """What is wrong with the texts of a row; empty where nothing is."""
    try:
        for text in (*row.sides.values(), *row.outside.values()):
            side_of(text)
        for text in row.writes.values():
            _arguments(text)
    except (SyntaxError, ValueError) as error:
        return f"{row.at}: {text!r} is no signature: {error}"
    return ""
