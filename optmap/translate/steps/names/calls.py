"""One call that a row knows: what it becomes in the target, or why it stays."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from optmap.mapping.steps import Pair, Parameter
from optmap.mapping.values import read_value, write_literal
from optmap.source.calls import Argument, CallText, Form, comments_in, read_call
from optmap.source.templates import CallTemplate, NewArgument, Template, copied
from optmap.source.text import Source, SourceError
from optmap.values import NamedTuple

Fits = Callable[[str, ast.expr], bool]
"""Tells whether an argument may be what a row says it must be."""


_ARTICLES: Final = {"int": "an", "items": "a list of"}
SETTLED: Final[Mapping[str, object]] = {"true": True, "mean": "mean"}
"""What must be given, and be exactly this."""


class Stays(Exception):
    """The call cannot be rewritten; the message is a clause that says why."""


class CallRewrite(NamedTuple):
    """What takes the place of a call, the arguments that stay with their new names, and those that went away.

    `new` is None where only the name of what is called changes, `partial` tells whether functools.partial holds it.
    """

    new: CallTemplate | Template | None
    kept: list[tuple[str, ast.expr]]
    dropped: list[ast.expr]
    partial: bool = False


class Callee(NamedTuple):
    """How the target's function is written. `first` is the tensor whose method becomes a function of it.

    `partial` is how functools.partial is spelled, `values` how the values are that the row writes out, `aliases` the other
    names of keywords.
    """

    text: Template
    first: ast.expr | None = None
    partial: str = ""
    values: tuple[tuple[str, str], ...] = ()
    aliases: Mapping[str, str] = {}


def rewrite_call(source: Source, node: ast.Call, pair: Pair, callee: Callee, fits: Fits) -> CallRewrite:
    """Rewrite a call. Raises Stays."""
    try:
        call = read_call(source, node)
    except SourceError as error:
        raise Stays(error.message) from None
    if any(parameter.any for parameter in pair.one.parameters or ()):
        if node.keywords:
            raise Stays("it is given keywords")
        return CallRewrite(None, [], [])
    return _Arguments(source, call, pair, callee, fits).rewrite()


def bound(source: Source, node: ast.Call, pair: Pair, fits: Fits) -> dict[str, Sequence[ast.expr]]:
    """The arguments of a call by what its row ties them to. Raises Stays."""
    rest = next((item.name for item in pair.one.parameters or () if item.any), None)
    if rest is not None:
        if node.keywords or any(isinstance(item, ast.Starred) for item in node.args) or not node.args:
            raise Stays("its arguments are not written out")
        wanted = pair.row.only.get(rest)
        if wanted is not None and not all(fits(wanted, item) for item in node.args):
            raise Stays(f"{rest} is not known to be {_ARTICLES.get(wanted, 'a')} {wanted}")
        return {rest: node.args}
    try:
        found = _Arguments(source, read_call(source, node), pair, Callee(Template("_")), fits)
    except SourceError as error:
        raise Stays(error.message) from None
    found.bind()
    ties = {item.name: item.tie or item.name for item in pair.one.parameters or ()}
    return {ties[name]: [item.node] for name, item in found.given.items()}


def same_ints(node: ast.expr) -> int | None:
    """The integer of a tuple that holds nothing else, such as `(1, 1)`."""
    values = (
        {item.value for item in node.elts if isinstance(item, ast.Constant)} if isinstance(node, ast.Tuple) else set()
    )
    plain = (
        isinstance(node, ast.Tuple) and len(values) == 1 and all(isinstance(item, ast.Constant) for item in node.elts)
    )
    value = values.pop() if plain else None
    return value if type(value) is int else None


class _Arguments:
    def __init__(self, source: Source, call: CallText, pair: Pair, callee: Callee, fits: Fits) -> None:
        self.source = source
        self.call = call
        self.pair = pair
        self.callee = callee
        self.fits = fits
        self.aliases = callee.aliases
        self.own = pair.one.parameters or ()
        self.others = (pair.other.parameters or ())[callee.first is not None :]
        self.given: dict[str, Argument] = {}
        self.gone: list[int] = []
        self.kept: list[tuple[str, NewArgument]] = []
        self.added: list[NewArgument] = []
        self.by_call = any(parameter.mark == "call" for parameter in self.others)

    def rewrite(self) -> CallRewrite:
        self.bind()
        for index, argument in enumerate(self.call.arguments):
            self._argument(index, argument)
        self._fill()
        call, callee = self.call, self.callee
        if comments_in(self.source, call.callee.start, call.callee.end):
            raise Stays("there is a comment inside its name")
        if self.by_call and not self.kept and not self.added:
            return self._reference()
        lead = [NewArgument(None, callee.text)] if self.by_call else []
        lead += [NewArgument(None, copied(callee.first))] if callee.first is not None else []
        given = (*lead, *(item for _, item in self.kept), *self.added)
        new = CallTemplate(Template(callee.partial) if self.by_call else callee.text, given, beside=True)
        kept = [(name, call.arguments[item.place or 0].node) for name, item in self.kept]
        return CallRewrite(new, kept, [call.arguments[index].node for index in self.gone], self.by_call)

    def _reference(self) -> CallRewrite:
        """A function takes the place of an object that would only be called: no arguments are left to keep."""
        if comments_in(self.source, self.call.items.open.end, self.call.items.close.start):
            raise Stays("there is a comment inside it")
        dropped = [argument.node for argument in self.call.arguments]
        return CallRewrite(self.callee.text, [], dropped)

    def bind(self) -> None:
        """Tie each argument to a parameter of the source."""
        positional = [item.name for item in self.own if not item.keyword_only]
        known = {item.name for item in self.own}
        for index, argument in enumerate(self.call.arguments):
            if argument.form not in (Form.POSITIONAL, Form.KEYWORD) or argument.entry:
                raise Stays("its arguments are not written out")
            name = argument.name or (positional[index] if index < len(positional) else None)
            name = name if name in known else self.aliases.get(str(name))
            if name not in known or name in self.given:
                raise Stays(f"argument {argument.name or index + 1} is not in the table")
            wanted = self.pair.row.only.get(name)
            if wanted == "int" and same_ints(argument.node) is not None:
                wanted = None
            if wanted is not None and not self.fits(wanted, argument.node):
                what = repr(SETTLED[wanted]) if wanted in SETTLED else f"{_ARTICLES.get(wanted, 'a')} {wanted}"
                raise Stays(f"{name} is not known to be {what}")
            self.given[str(name)] = argument
        for item, kind in self.pair.row.only.items():
            if kind in SETTLED and item not in self.given:
                raise Stays(f"{item} is not {SETTLED[kind]!r}")
        missing = [item.name for item in self.own if item.required and item.name not in self.given]
        if missing:
            raise Stays(f"{missing[0]} is not given")

    def _target(self, parameter: Parameter) -> Parameter | None:
        tied = (item for item in self.others if item.tie == parameter.tie and item.mark != "call")
        return next(tied, None) if parameter.tie is not None else None

    def _argument(self, index: int, argument: Argument) -> None:
        name = next(name for name, item in self.given.items() if item is argument)
        parameter = next(item for item in self.own if item.name == name)
        target = self._target(parameter)
        value = read_value(argument.node)
        if target is None:
            neutral = value.known and value.literal == parameter.default and not parameter.required
            idle = isinstance(argument.node, ast.Constant | ast.Name | ast.Attribute)
            if not neutral and not (parameter.mark in ("execution", "inplace") and idle):
                raise Stays(f"{self.pair.other.path} has no counterpart of {parameter.name}")
            self.gone.append(index)
            return
        if value.known and value.literal is None and parameter.default is None and target.default is not None:
            if parameter.name not in self.pair.row.same_as:
                raise Stays(f"{self.pair.other.path} has no counterpart of {parameter.name}=None")
            self.gone.append(index)
            return
        if target.any and argument.form is Form.KEYWORD:
            raise Stays("it is given keywords")
        position = next(at for at, item in enumerate(self.others) if item is target)
        stays = argument.form is Form.POSITIONAL and position == len(self.kept) == index and not self.by_call
        stays = stays and not target.keyword_only and all(given.name is None for _, given in self.kept)
        text = copied(argument.node)
        if self.pair.row.only.get(name) == "float" and value.known and type(value.literal) is int:
            text = Template(write_literal(float(value.literal)))
        whole = same_ints(argument.node) if self.pair.row.only.get(name) == "int" else None
        if whole is not None:
            text = Template(str(whole))
        self.kept.append((target.name, NewArgument(None if stays else target.name, text, index)))

    def _fill(self) -> None:
        """Write out defaults that differ, and what the table says is always written."""
        kept, written = {name for name, _ in self.kept}, dict(self.callee.values)
        for target in self.others:
            if target.name in kept or target.mark == "call":
                continue
            parameter = next((item for item in self.own if item.tie == target.tie and item.tie), None)
            if target.name in written:
                self.added.append(NewArgument(target.name, Template(written[target.name])))
            elif parameter is None and target.required:
                raise Stays(f"{self.pair.other.path} needs {target.name}")
            elif parameter is not None and (parameter.default != target.default or target.required):
                self.added.append(NewArgument(target.name, self._default(parameter)))

    def _default(self, parameter: Parameter) -> Template:
        same = self.pair.row.same_as.get(parameter.name)
        if same is not None:
            argument = self.given[same]
            if not isinstance(argument.node, ast.Name) and not read_value(argument.node).known:
                raise Stays(f"{same} would have to be written twice")
            return copied(argument.node)
        if parameter.default is None:
            raise Stays(f"{self.pair.other.path} has no counterpart of {parameter.name}=None")
        return Template(write_literal(parameter.default))
