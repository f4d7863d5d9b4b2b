"""The signature of a live class or function, including parts that decorators and **kwargs hide."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any, Final

from optmap.audit.results import LiveClass, LiveParameter

_KINDS: Final[dict[object, str]] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "any",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
}
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class HiddenSignature(Exception):
    """The function behind a wrapper cannot be determined."""


def describe(member: Any) -> LiveClass:
    """The parameters of a class's constructor or of a function."""
    package = str(getattr(member, "__module__", "")).partition(".")[0]
    nothing = LiveClass(package, version_of(package))
    try:
        parameters, sources = parameters_of(member), _default_sources(member)
    except HiddenSignature:
        return nothing._replace(hidden=True)
    kinds = [parameter.kind for parameter in parameters]
    extra_keywords = inspect.Parameter.VAR_KEYWORD in kinds
    taken, mentioned = keywords_of(member) if extra_keywords else ((), ())
    return nothing._replace(
        parameters=tuple(_parameter(item, sources) for item in parameters if item.kind not in _VARIADIC),
        extra_keywords=extra_keywords,
        extra_positional=inspect.Parameter.VAR_POSITIONAL in kinds,
        taken=taken,
        mentioned=mentioned,
    )


def version_of(package: str) -> str:
    """The version of a package, without a local part such as +cpu."""
    found = getattr(sys.modules.get(package), "__version__", None)
    if found is None:
        try:
            found = metadata.version(package)
        except metadata.PackageNotFoundError:
            found = "of unknown version"
    return str(found).partition("+")[0]


def parameters_of(member: Any) -> list[inspect.Parameter]:
    """The parameters that a caller passes. Raises HiddenSignature."""
    try:
        function = _function(member)
        return _parameters(member) if function is None else _parameters(function)[isinstance(member, type) :]
    except (TypeError, ValueError) as error:
        raise HiddenSignature(str(error)) from None


def _function(member: Any) -> Callable[..., Any] | None:
    """The undecorated function that gets a caller's arguments; None if it is not written in Python."""
    if isinstance(member, type):
        return next((function for function in _constructors(member) if not _hides(function)), None)
    return undecorated(member) if isinstance(member, types.FunctionType) else None


def _default_sources(member: Any) -> dict[str, str]:
    """The source text of the defaults by parameter; empty if no source is available."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(_function(member) or member))).body[0]
    except (OSError, TypeError, ValueError, SyntaxError):
        return {}
    if not isinstance(tree, ast.FunctionDef):
        return {}
    names = [each.arg for each in (*tree.args.posonlyargs, *tree.args.args)]
    pairs = list(zip(reversed(names), reversed(tree.args.defaults), strict=False))
    pairs += [
        (each.arg, value) for each, value in zip(tree.args.kwonlyargs, tree.args.kw_defaults, strict=True) if value
    ]
    return {name: ast.unparse(value) for name, value in pairs}


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, follow_wrapped=False).parameters.values())


def undecorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function behind wrappers that take only *args and **kwargs, by __wrapped__ or else by the wrapper's closure.

    MindSpore's registration of constructors keeps the real one only in a closure. Raises HiddenSignature if a
    wrapper holds no function or several.
    """
    name = getattr(function, "__name__", "")
    seen: set[int] = set()
    while _hides(function):
        if id(function) in seen:
            raise HiddenSignature(f"{function!r} wraps itself")
        seen.add(id(function))
        function = _inner(function, name)
    return function


def _hides(function: Callable[..., Any]) -> bool:
    """Whether a function has *args and, after self, no named parameter."""
    kinds = [parameter.kind for parameter in _parameters(function)]
    return inspect.Parameter.VAR_POSITIONAL in kinds and all(kind in _VARIADIC for kind in kinds[1:])


def _inner(function: Any, name: str) -> Callable[..., Any]:
    if "__wrapped__" in vars(function):
        wrapped: Callable[..., Any] = vars(function)["__wrapped__"]
        return wrapped
    inside = [cell.cell_contents for cell in getattr(function, "__closure__", None) or () if _filled(cell)]
    found = [item for item in inside if isinstance(item, types.FunctionType)]
    named = [item for item in found if item.__name__ in (name, "__init__")]
    for choice in (named, found):
        if len(choice) == 1:
            return choice[0]
    raise HiddenSignature(f"{function!r} takes any arguments and does not wrap exactly one function")


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _parameter(parameter: inspect.Parameter, sources: dict[str, str]) -> LiveParameter:
    if parameter.default is inspect.Parameter.empty:
        return LiveParameter(parameter.name, _KINDS[parameter.kind], None)
    text = literal(parameter.default)
    described = sources.get(parameter.name, f"<{type(parameter.default).__name__}>")
    return LiveParameter(parameter.name, _KINDS[parameter.kind], described if text is None else text, text is not None)


def same_source(table: object, live: str) -> bool:
    """Whether a table's text equals the source of a default that is not a literal."""
    try:
        return isinstance(table, str) and ast.unparse(ast.parse(table, mode="eval")) == live
    except (SyntaxError, ValueError):
        return False


def literal(value: object) -> str | None:
    """Python source of a literal in the form of the tables (lists as tuples, subclasses as float); None for other values."""
    if value is None or isinstance(value, bool):
        return repr(value)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind.__repr__(value)
    if isinstance(value, tuple | list):
        items = [literal(item) for item in value]
        known = [item for item in items if item is not None]
        return None if len(known) < len(items) else f"({', '.join(known)}{',' * (len(known) == 1)})"
    return None


def keywords_of(member: Any) -> tuple[tuple[LiveParameter, ...] | None, tuple[str, ...]]:
    """The parameters that the constructors read from **kwargs by their sources, and further names that they may read.

    Constructors of base classes are included as long as each passes its **kwargs on. The first is None without source.
    """
    try:
        return _followed(_constructors(member))
    except (OSError, TypeError, SyntaxError, HiddenSignature):
        return None, ()


def _followed(constructors: Iterable[Callable[..., Any]]) -> tuple[tuple[LiveParameter, ...], tuple[str, ...]]:
    taken: dict[str, LiveParameter] = {}
    mentioned: set[str] = set()
    for function in constructors:
        extra = [item.name for item in _parameters(function) if item.kind is inspect.Parameter.VAR_KEYWORD]
        mentioned |= {item.name for item in _parameters(function) if item.kind in _KINDS}
        if not extra:
            break
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for parameter in _taken(tree, extra[0]):
            taken.setdefault(parameter.name, parameter)
        mentioned |= {text for node in ast.walk(tree) if (text := _text(node)) and text.isidentifier()}
        if not _passes_kwargs_on(tree, extra[0]):
            break
    return tuple(taken.values()), tuple(sorted(mentioned - set(taken)))


def _constructors(member: Any) -> Iterator[Callable[..., Any]]:
    """The constructors that a call may reach, from the class to its bases; for a function, only that function."""
    if not isinstance(member, type):
        yield undecorated(member)
        return
    for each in member.__mro__:
        constructor = vars(each).get("__init__")
        if isinstance(constructor, types.FunctionType):
            yield constructor if _passes_on(constructor) else undecorated(constructor)


def _passes_on(constructor: types.FunctionType) -> bool:
    """Whether a constructor takes any arguments because it passes them to its base class, not because it is a wrapper."""
    return (
        _hides(constructor)
        and "__wrapped__" not in vars(constructor)
        and "__class__" in constructor.__code__.co_freevars
    )


def _taken(tree: ast.AST, extra: str) -> Iterator[LiveParameter]:
    """`extra.pop("name", default)`, `extra.get("name")`, `extra["name"]` and `"name" in extra`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=owner), attr="pop" | "get"),
                args=[ast.Constant(value=str(name)), *default],
            ) if owner == extra:
                yield _extra(name, default or [ast.Constant(None)])
            case (
                ast.Subscript(value=ast.Name(id=owner), slice=ast.Constant(value=str(name)))
                | ast.Compare(left=ast.Constant(value=str(name)), comparators=[ast.Name(id=owner)])
            ) if owner == extra:
                yield _extra(name, [])


def _extra(name: str, default: list[ast.expr]) -> LiveParameter:
    try:
        text = literal(ast.literal_eval(default[0])) if default else None
    except ValueError:
        text = None
    return LiveParameter(name, "keyword", text or "<unknown>", text is not None)


def _passes_kwargs_on(tree: ast.AST, extra: str) -> bool:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    handed = [item.value for call in calls for item in call.keywords if item.arg is None]
    return any(isinstance(item, ast.Name) and item.id == extra for item in handed)


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
