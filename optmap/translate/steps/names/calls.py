"""One call of a class or function of the table: what it becomes in the target, or why it stays."""

from __future__ import annotations

import ast

from optmap.mapping.steps import Parameter, Side
from optmap.mapping.values import read_value, write_literal
from optmap.source.calls import Argument, CallText, Form, comments_in, read_call
from optmap.source.templates import CallTemplate, Given, Template, copied
from optmap.source.text import Source, SourceError
from optmap.values import NamedTuple


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


def rewrite_call(source: Source, node: ast.Call, one: Side, other: Side, callee: str, partial: str) -> CallRewrite:
    """Rewrite a call; `callee` is how the target is spelled, `partial` how functools.partial is. Raises Stays."""
    try:
        call = read_call(source, node)
    except SourceError as error:
        raise Stays(error.message) from None
    if any(parameter.any for parameter in one.parameters):
        return _renamed(node)
    return _Arguments(source, call, one, other).rewrite(callee, partial)


def _renamed(node: ast.Call) -> CallRewrite:
    if node.keywords:
        raise Stays("it is given keywords")
    return CallRewrite(None, [], [])


class _Arguments:
    def __init__(self, source: Source, call: CallText, one: Side, other: Side) -> None:
        self.source = source
        self.call = call
        self.one = one
        self.other = other
        self.given: dict[str, Argument] = {}
        self.gone: list[int] = []
        self.kept: list[tuple[str, Given]] = []
        self.added: list[Given] = []
        self.by_call = any(parameter.call for parameter in other.parameters)

    def rewrite(self, callee: str, partial: str) -> CallRewrite:
        self._bind()
        for index, argument in enumerate(self.call.arguments):
            self._argument(index, argument)
        self._fill()
        call = self.call
        if comments_in(self.source, call.callee.start, call.callee.end):
            raise Stays("there is a comment inside its name")
        if self.by_call and not self.kept and not self.added:
            return self._reference(callee)
        lead = (Given(None, Template(callee)),) if self.by_call else ()
        given = (*lead, *(item for _, item in self.kept), *self.added)
        new = CallTemplate(Template(partial if self.by_call else callee), given, beside=True)
        kept = [(name, call.arguments[item.place or 0].node) for name, item in self.kept]
        return CallRewrite(new, kept, [call.arguments[index].node for index in self.gone], self.by_call)

    def _reference(self, callee: str) -> CallRewrite:
        """A function takes the place of an object that would only be called: no arguments are left to keep."""
        if comments_in(self.source, self.call.items.open.end, self.call.items.close.start):
            raise Stays("there is a comment inside it")
        dropped = [argument.node for argument in self.call.arguments]
        return CallRewrite(Template(callee), [], dropped)

    def _bind(self) -> None:
        """Tie each argument to a parameter of the source."""
        positional = [item.name for item in self.one.parameters if not item.keyword_only]
        known = {item.name for item in self.one.parameters}
        for index, argument in enumerate(self.call.arguments):
            if argument.form not in (Form.POSITIONAL, Form.KEYWORD) or argument.entry:
                raise Stays("its arguments are not written out")
            name = argument.name or (positional[index] if index < len(positional) else None)
            if name not in known or name in self.given:
                raise Stays(f"{self.one.path} has no parameter for argument {argument.name or index + 1}")
            self.given[str(name)] = argument
        missing = [item.name for item in self.one.parameters if item.required and item.name not in self.given]
        if missing:
            raise Stays(f"{missing[0]} is missing")

    def _parameter(self, argument: Argument) -> Parameter:
        name = next(name for name, item in self.given.items() if item is argument)
        return next(item for item in self.one.parameters if item.name == name)

    def _target(self, parameter: Parameter) -> Parameter | None:
        tied = (item for item in self.other.parameters if item.tie == parameter.tie and not item.call)
        return next(tied, None) if parameter.tie is not None else None

    def _argument(self, index: int, argument: Argument) -> None:
        parameter = self._parameter(argument)
        target = self._target(parameter)
        value = read_value(argument.node)
        if target is None:
            neutral = value.known and value.literal == parameter.default and not parameter.required
            idle = isinstance(argument.node, ast.Constant | ast.Name | ast.Attribute)
            if not neutral and not (parameter.execution and idle):
                raise Stays(f"{self.other.path} has no counterpart of {parameter.name}")
            self.gone.append(index)
            return
        if value.known and value.literal is None and parameter.default is None and target.default is not None:
            if parameter.same_as is None:
                raise Stays(f"{self.other.path} has no counterpart of {parameter.name}=None")
            self.gone.append(index)
            return
        position = next(at for at, item in enumerate(self.other.parameters) if item is target)
        stays = argument.form is Form.POSITIONAL and position == len(self.kept) == index and not self.by_call
        stays = stays and all(given.name is None for _, given in self.kept)
        self.kept.append((target.name, Given(None if stays else target.name, copied(argument.node), index)))

    def _fill(self) -> None:
        """Write out defaults that differ, and what the table says is always written."""
        kept = {name for name, _ in self.kept}
        for target in self.other.parameters:
            if target.name in kept or target.call:
                continue
            parameter = next((item for item in self.one.parameters if item.tie == target.tie and item.tie), None)
            if target.written:
                self.added.append(Given(target.name, Template(write_literal(target.write))))
            elif parameter is None and target.required:
                raise Stays(f"{self.other.path} needs {target.name}")
            elif parameter is not None and (parameter.default != target.default or target.required):
                self.added.append(Given(target.name, self._default(parameter)))

    def _default(self, parameter: Parameter) -> Template:
        if parameter.same_as is not None:
            argument = self.given[parameter.same_as]
            if not isinstance(argument.node, ast.Name) and not read_value(argument.node).known:
                raise Stays(f"{parameter.same_as} would have to be written twice")
            return copied(argument.node)
        if parameter.default is None:
            raise Stays(f"{self.other.path} has no counterpart of {parameter.name}=None")
        return Template(write_literal(parameter.default))
