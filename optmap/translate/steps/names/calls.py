"""One call of a class or function of the table: what it becomes in the target, as edits and as a tree, or why it stays."""

from __future__ import annotations

import ast
from typing import NamedTuple

from optmap.mapping.steps import Parameter, Side
from optmap.mapping.values import read_value, write_literal
from optmap.source.calls import Argument, CallText, Form, comments_in, read_call
from optmap.source.edits import Edit, remove_pieces
from optmap.source.text import Source, SourceError


class Stays(Exception):
    """The call cannot be rewritten; the message is a clause that says why."""


class CallRewrite(NamedTuple):
    """A rewritten call: edits, the tree that stands there afterwards, and the argument nodes that went away."""

    edits: list[Edit]
    becomes: ast.expr
    fresh: list[ast.AST]
    dropped: list[ast.expr]


def rewrite_call(source: Source, node: ast.Call, one: Side, other: Side, callee: str, partial: str) -> CallRewrite:
    """Rewrite a call; `callee` is how the target is spelled, `partial` how functools.partial is. Raises Stays."""
    try:
        call = read_call(source, node)
    except SourceError as error:
        raise Stays(error.message) from None
    if any(parameter.any for parameter in one.parameters):
        return _renamed(node, call, callee)
    return _Arguments(source, call, one, other).rewrite(callee, partial)


def _renamed(node: ast.Call, call: CallText, callee: str) -> CallRewrite:
    if node.keywords:
        raise Stays("it is given keywords")
    function = ast.parse(callee, mode="eval").body
    becomes = ast.Call(function, node.args, [])
    return CallRewrite([Edit(call.callee.start, call.callee.end, callee)], becomes, [becomes, *ast.walk(function)], [])


class _Arguments:
    def __init__(self, source: Source, call: CallText, one: Side, other: Side) -> None:
        self.source = source
        self.call = call
        self.one = one
        self.other = other
        self.given: dict[str, Argument] = {}
        self.edits: list[Edit] = []
        self.gone: list[int] = []
        self.args: list[ast.expr] = []
        self.keywords: list[ast.keyword] = []
        self.added: list[tuple[str, str]] = []
        self.by_call = any(parameter.call for parameter in other.parameters)

    def rewrite(self, callee: str, partial: str) -> CallRewrite:
        self._bind()
        for index, argument in enumerate(self.call.arguments):
            self._argument(index, argument)
        self._fill()
        call = self.call
        if comments_in(self.source, call.callee.start, call.callee.end):
            raise Stays("there is a comment inside its name")
        if self.by_call and not self.args and not self.keywords and not self.added:
            return self._reference(callee)
        self.edits.append(Edit(call.callee.start, call.callee.end, partial if self.by_call else callee))
        if self.by_call:
            self.args.insert(0, ast.parse(callee, mode="eval").body)
            self.edits.insert(0, Edit(call.items.open.end, call.items.open.end, f"{callee}, "))
        self._place()
        function = ast.parse(partial if self.by_call else callee, mode="eval").body
        new = [ast.keyword(name, ast.parse(text, mode="eval").body) for name, text in self.added]
        becomes = ast.Call(function, self.args, [*self.keywords, *new])
        fresh = [becomes, *self.keywords, *ast.walk(function), *(item for word in new for item in ast.walk(word))]
        fresh += ast.walk(self.args[0]) if self.by_call else []
        dropped = [call.arguments[index].node for index in self.gone]
        return CallRewrite(self.edits, becomes, fresh, dropped)

    def _reference(self, callee: str) -> CallRewrite:
        """A function takes the place of an object that would only be called: no arguments are left to keep."""
        start, end = self.source.start(self.call.node), self.source.end(self.call.node)
        if comments_in(self.source, self.call.items.open.end, self.call.items.close.start):
            raise Stays("there is a comment inside it")
        becomes = ast.parse(callee, mode="eval").body
        dropped = [argument.node for argument in self.call.arguments]
        return CallRewrite([Edit(start, end, callee)], becomes, list(ast.walk(becomes)), dropped)

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
        stays = argument.form is Form.POSITIONAL and position == len(self.args) == index and not self.by_call
        if stays and not self.keywords:
            self.args.append(argument.node)
            return
        self.keywords.append(ast.keyword(target.name, argument.node))
        if argument.form is Form.POSITIONAL:
            self.edits.append(Edit(argument.span.start, argument.span.start, f"{target.name}="))
        elif argument.name != target.name:
            assert argument.name_span is not None
            self.edits.append(Edit(argument.name_span.start, argument.name_span.end, target.name))

    def _fill(self) -> None:
        """Write out defaults that differ, and what the table says is always written."""
        kept = {word.arg for word in self.keywords}
        kept |= {item.name for item in self.other.parameters[: len(self.args)]}
        for target in self.other.parameters:
            if target.name in kept or target.call:
                continue
            parameter = next((item for item in self.one.parameters if item.tie == target.tie and item.tie), None)
            if target.written:
                self.added.append((target.name, write_literal(target.write)))
            elif parameter is None and target.required:
                raise Stays(f"{self.other.path} needs {target.name}")
            elif parameter is not None and (parameter.default != target.default or target.required):
                self.added.append((target.name, self._default(parameter)))

    def _default(self, parameter: Parameter) -> str:
        if parameter.same_as is not None:
            argument = self.given[parameter.same_as]
            if not isinstance(argument.node, ast.Name) and not read_value(argument.node).known:
                raise Stays(f"{parameter.same_as} would have to be written twice")
            return self.source.text(argument.value_span.start, argument.value_span.end)
        if parameter.default is None:
            raise Stays(f"{self.other.path} has no counterpart of {parameter.name}=None")
        return write_literal(parameter.default)

    def _place(self) -> None:
        """Take away the arguments that go, and add the new ones behind the last that stays."""
        items = self.call.items
        text = ", ".join(f"{name}={value}" for name, value in self.added)
        if self.gone:
            self.edits += remove_pieces(self.source, items, self.gone)
        kept = [index for index in range(len(items.pieces)) if index not in self.gone]
        if text and kept:
            end = items.pieces[kept[-1]].end
            self.edits.append(Edit(end, end, f", {text}"))
        elif text:
            at = items.close.start if not items.pieces else items.open.end
            self.edits.append(Edit(at, at, text))
