"""The table of what training scripts use beside optimizers (mappings/steps/modules.yaml): layers, losses, tensors, bases."""

from functools import lru_cache

from optmap.mapping.model import Framework
from optmap.mapping.records import Literal, Position, Record, added, derived, key, place, store
from optmap.mapping.stored import Contents, MappingError, stored


class Parameter(Record):
    """A parameter of a callable; `tie` is what it shares with those of other frameworks, None where nothing."""

    name: str = key("the name in the signature")
    tie: str | None = key(
        "what it is tied by; its own name by default",
        name="is", derive=lambda given: given["name"] if given.get("tied", True) and not given.get("execution") else None,
    )  # fmt: skip
    required: bool = derived(lambda given: "default" not in given)
    default: Literal = key("the default; required without one", default=None)
    keyword_only: bool = key("cannot be given by position", default=False)
    execution: bool = key("changes how, not what, is computed", default=False)
    tied: bool = key("false where parameters of one name mean different things", default=True)
    written: bool = derived(lambda given: "write" in given)
    write: Literal = key("written out whenever the class is a target", default=None)
    same_as: str | None = key("the parameter whose value a default of null stands for", default=None)
    call: bool = key("given when the object is called, where the row's other side is a class", default=False)
    any: bool = key(
        "`any` stands for any number of positional arguments",
        default=False, name="kind", given=str, choices=("any",), read=bool,
    )  # fmt: skip


class Side(Record):
    """A class or function of one framework."""

    path: str = key("the dotted path")
    at: Position = place()
    parameters: tuple[Parameter, ...] = key("the signature")
    note: str | None = key("something to know when this is the target", default=None)

    @property
    def table(self) -> str:
        """The place of its row."""
        return str(self.at)


class Base(Record):
    """A class to derive models from, and the method that computes their output."""

    path: str = key("the dotted path")
    method: str = key("the method that computes the output")


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
    callables: dict[str, dict[Framework, Side]] = key("classes and functions")
    values: tuple[dict[Framework, str], ...] = key("constants")
    bases: tuple[dict[Framework, Base], ...] = key("classes to derive models from")


class Table(Record):
    """The rows of a pair of frameworks, by the source's path."""

    callables: dict[str, tuple[Side, Side]] = added()
    values: dict[str, str] = added()
    bases: dict[str, tuple[Base, Base]] = added()


@lru_cache(maxsize=4)
def load_table(source: Framework, target: Framework) -> Table:
    """Load the table for a pair of frameworks. Raises MappingError."""
    file = load_file()
    sides = [(row[source], row[target]) for row in file.callables.values() if {source, target} <= row.keys()]
    bases = [(row[source], row[target]) for row in file.bases if {source, target} <= row.keys()]
    return Table(
        callables={one.path: (one, other) for one, other in sides},
        values={row[source]: row[target] for row in file.values if {source, target} <= row.keys()},
        bases={one.path: (one, other) for one, other in bases},
    )


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
    return parsed.make(StepsFile)
