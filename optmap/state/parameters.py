"""Which parameter of the source becomes which of the target, in the target's order, and how its axes move."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from optmap.mapping.records import Literal, Position, Record, key, place
from optmap.mapping.state import RequestError, StateError
from optmap.mapping.yamlnodes import Problems, parse

SAME: Final = "same"
TRANSPOSE: Final = "transpose"


class Carried(Record, title="parameter"):
    """A parameter; without a layout none is stated."""

    at: Position = place()
    source: Literal = key(
        "the source's name of the parameter, or its position from 0 where there are no names", name="from"
    )
    target: str = key("the target's name of the parameter", name="to")
    layout: "Literal" = key(
        "same, transpose, or the source's axes in the target's order, such as [2, 3, 1, 0]", default=None
    )

    @property
    def name(self) -> str:
        """The source's name as text."""
        return str(self.source)

    def moved(self, array: Any) -> Any:
        """An array with its axes in the target's order. Raises StateError for a layout that does not fit it."""
        axes = (1, 0) if self.layout == TRANSPOSE else self.layout
        if axes in (None, SAME):
            return array
        if not isinstance(axes, tuple) or sorted(map(str, axes)) != sorted(map(str, range(array.ndim))):
            raise StateError(
                f"the layout of {self.name} is {self.layout!r}, but its arrays have the shape {array.shape}"
            )
        return array.transpose(axes)


class ParameterMap(Record, title="map"):
    """A file that lists all parameters in the order in which the target's optimizer has them."""

    parameters: tuple[Carried, ...] = key("the parameters, in the order of the target's optimizer")


def read_map(path: Path) -> list[Carried]:
    """Read a map from YAML. Raises RequestError with every error in it."""
    problems = Problems()
    try:
        found = parse(path.read_bytes(), str(path), ParameterMap, problems)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from None
    if found is None or problems.found:
        raise RequestError("\n".join(problems.lines()))
    return list(found.make(ParameterMap).parameters)


def stated(text: str) -> Carried:
    """One parameter of the command line: `FROM=TO`, or `FROM=TO:transpose`. Raises RequestError."""
    source, equals, rest = text.partition("=")
    target, _, layout = rest.rpartition(":") if rest.endswith((f":{SAME}", f":{TRANSPOSE}")) else (rest, "", "")
    if not (equals and source and target):
        raise RequestError(f"--parameter: found {text!r}, expected FROM=TO or FROM=TO:{TRANSPOSE}")
    return Carried(at=Position("--parameter", 1, 1), source=source, target=target, layout=layout or None)


def in_place(names: Iterable[str]) -> list[Carried]:
    """Every parameter under its own name and at its own place."""
    return [Carried(at=Position("--in-order", 1, 1), source=name, target=name) for name in names]


def check(carried: Sequence[Carried], names: Sequence[str], shapes: Mapping[str, tuple[int, ...]], moves: str) -> None:
    """Raise StateError unless every parameter is carried once and every layout that must be stated is.

    `moves` says why the layout of arrays with several axes must be stated; it is empty where it need not.
    """
    given = [item.name for item in carried]
    for what, found in (("source", given), ("target", [item.target for item in carried])):
        if twice := [name for name in dict.fromkeys(found) if found.count(name) > 1]:
            raise StateError(f"the map names {twice[0]} of the {what} twice")
    if strange := [name for name in given if name not in names]:
        raise StateError(f"the map names {strange[0]}, but the state has the parameters {_listed(names)}")
    if missing := [name for name in names if name not in given]:
        raise StateError(f"the map lacks {_listed(missing)}; every parameter of the state must be carried over")
    silent = [item.name for item in carried if item.layout is None and len(shapes.get(item.name, ())) > 1]
    if moves and silent:
        raise StateError(
            f"{moves}: state the layout of {_listed(silent)} in the map, as {SAME}, {TRANSPOSE} or a list of axes"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
