"""One binder: which argument of a call each parameter gets, as Python would have it.

    signature = signature_of("a, b=1, *, c=None")     # also: a table's parameters, a FunctionDef (`bound=True`: a method's)
    result = bind(signature, call)                    # also: a sequence of (form, name, value), such as CallText.arguments
    match result:
        case Bound(): result.given["b"].value, result.given["b"].index
        case Unbound(): result.problems[0].kind

Of an Unbound, too, `get(name)` gives what is certain.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Protocol

from optmap.source.calls import Form
from optmap.source.syntax import default_of
from optmap.values import NamedTuple


class Parameter(Protocol):
    """What a parameter must tell; a `default` is taken where there is one."""

    @property
    def name(self) -> str: ...
    @property
    def keyword_only(self) -> bool: ...
    @property
    def required(self) -> bool: ...


class Plain(NamedTuple):
    """A parameter of a text or of a function; `default` is its expression."""

    name: str
    keyword_only: bool
    required: bool
    default: ast.expr | None = None
    positional_only: bool = False


class Signature(NamedTuple):
    """Parameters in order, which of them each keyword means, and whether `*args` and `**kwargs` take what is left over."""

    parameters: tuple[Any, ...]
    keywords: Mapping[str, Any]
    takes_list: bool = False
    takes_mapping: bool = False

    @property
    def positional(self) -> tuple[Any, ...]:
        return tuple(item for item in self.parameters if not item.keyword_only)

    def default(self, name: str) -> Any:
        """The default of a parameter; None where there is none."""
        return next((item.default for item in self.parameters if item.name == name and not item.required), None)


class Given(NamedTuple):
    """What a parameter gets: the call's argument `index`, or its default where that is None.

    `value` is an expression, or what the sequence of arguments or the table holds in its place. An index counts the
    arguments as they were given to `bind`; of an `ast.Call`, those by position first.
    """

    parameter: Any
    index: int | None  # type: ignore[assignment]
    value: Any


class BindingProblem(Enum):
    """Why a call cannot be bound."""

    HIDDEN_LIST = auto()  # `*args`: which parameters it fills cannot be seen
    HIDDEN_MAPPING = auto()  # `**kwargs`
    TOO_MANY = auto()  # more arguments by position than there are parameters
    UNKNOWN_NAME = auto()  # a keyword that no parameter has; `name` is the keyword
    TWICE = auto()  # a second argument for the parameter `name`
    MISSING = auto()  # no argument for the parameter `name`, which has no default


class Fault(NamedTuple):
    """One problem of a call: the argument it is about, or None, and a name as the kind of problem says."""

    kind: BindingProblem
    index: int | None = None  # type: ignore[assignment]
    name: str | None = None


class Bound(NamedTuple):
    """A call that Python would accept: what each parameter gets, in the order of the arguments, defaults last.

    `more` are the indices of arguments that go into `*args` and `**kwargs`.
    """

    given: Mapping[str, Given]
    more: tuple[int, ...] = ()

    def get(self, name: str) -> Given | None:
        """What a parameter gets; None where the signature has no such parameter."""
        return self.given.get(name)

    @property
    def written(self) -> tuple[Given, ...]:
        """What the call itself gives, in the order of the arguments."""
        return tuple(item for item in self.given.values() if item.index is not None)


class Unbound(NamedTuple):
    """A call that Python would reject, or whose arguments are hidden: every problem, and what is certain in spite of it."""

    problems: tuple[Fault, ...]
    given: Mapping[str, Given]

    @property
    def hidden(self) -> bool:
        """Tell whether `*` or `**` hides arguments."""
        return any(item.kind in (BindingProblem.HIDDEN_LIST, BindingProblem.HIDDEN_MAPPING) for item in self.problems)

    def get(self, name: str) -> Given | None:
        """What a parameter gets for certain; None where that cannot be told."""
        return self.given.get(name)


Argument = tuple[Form, str | None, Any]


def signature_of(
    of: str | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | Iterable[Parameter],
    *,
    bound: bool = False,
    also: Mapping[str, Parameter] | None = None,
) -> Signature:
    """The signature of a text such as "a, b=1, *, c", of a function of the file, or of parameters that a table lists.

    `bound` leaves out the first parameter, which a method gets from Python. `also` are further keywords that parameters
    accept, such as older names.
    """
    if isinstance(of, str):
        return _of_text(of)
    if isinstance(of, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return _of_function(of.args, bound)
    parameters = tuple(of)[1 if bound else 0 :]
    return Signature(parameters, {**{item.name: item for item in parameters}, **(also or {})})


@lru_cache(maxsize=256)
def _of_text(text: str) -> Signature:
    function = ast.parse(f"def f({text}): pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    return _of_function(function.args, False)


def _of_function(arguments: ast.arguments, bound: bool) -> Signature:
    only = {id(item) for item in arguments.posonlyargs}
    found = [
        Plain(item.arg, keyword_only, default is None, default, id(item) in only)
        for keyword_only, items in ((False, [*arguments.posonlyargs, *arguments.args]), (True, arguments.kwonlyargs))
        for item in items
        for default in (default_of(arguments, item.arg),)
    ]
    parameters = tuple(found[1:] if bound and found and not found[0].keyword_only else found)
    keywords = {item.name: item for item in parameters if not item.positional_only}
    return Signature(parameters, keywords, arguments.vararg is not None, arguments.kwarg is not None)


def arguments_of(call: ast.Call) -> list[Argument]:
    """The arguments of a call, those by position first."""
    found: list[Argument] = [
        (Form.UNPACKED_LIST, None, item.value) if isinstance(item, ast.Starred) else (Form.POSITIONAL, None, item)
        for item in call.args
    ]
    found += [(Form.KEYWORD if item.arg else Form.UNPACKED_MAPPING, item.arg, item.value) for item in call.keywords]
    return found


def bind(signature: Signature, call: ast.Call | Sequence[Sequence[Any]]) -> Bound | Unbound:
    """Bind the arguments of a call; each of a sequence begins with its form, its keyword or None, and its value."""
    arguments = arguments_of(call) if isinstance(call, ast.Call) else call
    binder = _Binder(signature)
    for index, argument in enumerate(arguments):
        form, name, value = argument[0], argument[1], argument[2]
        if form in (Form.UNPACKED_LIST, Form.UNPACKED_MAPPING):
            binder.hide(form, index)
        elif form is not Form.EMPTY and not (
            binder.place(index, value) if name is None else binder.name(index, name, value)
        ):
            break
    return binder.result()


class _Binder:
    """Binds one call, argument by argument."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.positional = signature.positional
        self.used = 0
        self.hidden = False
        self.given: dict[str, Given] = {}
        self.guessed: set[str] = set()
        self.more: list[int] = []
        self.faults: list[Fault] = []

    def hide(self, form: Form, index: int) -> None:
        kind = BindingProblem.HIDDEN_LIST if form is Form.UNPACKED_LIST else BindingProblem.HIDDEN_MAPPING
        self.hidden = self.hidden or kind is BindingProblem.HIDDEN_LIST
        self.faults.append(Fault(kind, index))

    def place(self, index: int, value: Any) -> bool:
        """An argument by position; False where there is no place for it."""
        if self.used < len(self.positional):
            parameter = self.positional[self.used]
            self.used += 1
            if self.hidden:
                self.guessed.add(parameter.name)
            self._give(parameter, index, value)
        elif self.signature.takes_list:
            self.more.append(index)
        else:
            self.faults.append(Fault(BindingProblem.TOO_MANY, index))
            return False
        return True

    def name(self, index: int, name: str, value: Any) -> bool:
        """An argument by keyword."""
        parameter = self.signature.keywords.get(name)
        if parameter is not None:
            self._give(parameter, index, value)
        elif self.signature.takes_mapping:
            self.more.append(index)
        else:
            self.faults.append(Fault(BindingProblem.UNKNOWN_NAME, index, name))
        return True

    def _give(self, parameter: Any, index: int, value: Any) -> None:
        if parameter.name in self.given:
            self.faults.append(Fault(BindingProblem.TWICE, index, parameter.name))
        else:
            self.given[parameter.name] = Given(parameter, index, value)

    def result(self) -> Bound | Unbound:
        absent = [item for item in self.signature.parameters if item.name not in self.given]
        kinds = {item.kind for item in self.faults}
        if not kinds & {BindingProblem.HIDDEN_LIST, BindingProblem.HIDDEN_MAPPING}:
            self.faults += [Fault(BindingProblem.MISSING, None, item.name) for item in absent if item.required]
        if self.faults:
            doubtful = self.guessed | {str(item.name) for item in self.faults if item.kind is BindingProblem.TWICE}
            return Unbound(
                tuple(self.faults), {name: item for name, item in self.given.items() if name not in doubtful}
            )
        defaults = {item.name: Given(item, None, getattr(item, "default", None)) for item in absent}
        return Bound({**self.given, **defaults}, tuple(self.more))
