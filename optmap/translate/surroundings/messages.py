"""A pattern, what was found and the target to a message: what the source does, what to write instead, in the user's words."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection
from typing import Final

from optmap.mapping.around import Pattern, Replacement
from optmap.mapping.sections import Api
from optmap.mapping.values import Value, read_value
from optmap.mapping.vocabulary import same_value
from optmap.source.bind import Plain, Signature, bind
from optmap.source.text import Source
from optmap.translate.surroundings.objects import MemberUse
from optmap.values import NamedTuple

_LONGEST: Final = 60
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
}  # fmt: skip
_BESIDE: Final = frozenset("+-*/%")
_SELF: Final = {"loss-scaling": "scaler", "weight-averaging": "average"}


class CodeNames(NamedTuple):
    """What the code in a message calls things: the optimizer, and the object itself where it has a name."""

    optimizer: str
    itself: str | None = None


def shown(source: Source, node: ast.expr | ast.stmt) -> str | None:
    """The text of a node on one line; None where it is too long to be read in a message."""
    text = " ".join(source.text_of(node).split())
    return text if len(text) <= _LONGEST and "#" not in text else None


def arguments_of(pattern: Pattern, call: ast.Call | None) -> dict[str, ast.expr]:
    """What a call surely gives each parameter of the pattern's signature."""
    if call is None:
        return {}
    parameters = tuple(Plain(name, False, default is None) for name, default in pattern.takes)
    found = bind(Signature(parameters, {item.name: item for item in parameters}, True, True), call)
    return {name: item.value for name, item in found.given.items() if item.index is not None}


class Advice(NamedTuple):
    """What to say of a use: what to do, the code to write, and what the source does."""

    text: str
    code: str | None = None
    detail: str | None = None


def advice(
    source: Source, pattern: Pattern, use: MemberUse, names: CodeNames, target: Api, told: Collection[str] = frozenset()
) -> Advice | None:
    """Return what to say of a use of the pattern; None where the target needs nothing in its place.

    `told` are the frameworks for which the pattern says what replaces it.
    """
    templates = pattern.to.get(target.module.name) or pattern.to.get(target.framework)
    if not templates:
        unknown = Advice(f"{pattern.about}; no table says what replaces it in {target.framework}")
        return None if target.framework in told else unknown
    given = arguments_of(pattern, use.call)
    texts = _texts(source, pattern, use, names, given)
    template = next((item for item in templates if _fits(item, pattern, given)), None)
    if template is None or not template.say:
        return None
    if use.value is not None and use.target is not None:
        texts["value"] = _new_value(source, use, fill(template.current or "", texts) or texts.get("value", "value"))
    code = fill(template.code, texts) if template.code else None
    return Advice(fill(template.say, texts), code, fill(pattern.about, texts))


def fill(template: str, texts: dict[str, str]) -> str:
    """Put texts in place of the placeholders that have one, in parentheses beside an operator; other braces are code."""

    def text(match: re.Match[str]) -> str:
        found = texts.get(match[1])
        if found is None:
            return match[0]
        beside = template[: match.start()].rstrip()[-1:], template[match.end() :].lstrip()[:1]
        return f"({found})" if _BESIDE.intersection(beside) and not _is_simple(found) else found

    return _PLACEHOLDER.sub(text, template)


def _is_simple(text: str) -> bool:
    """Tell whether an expression keeps together beside any operator."""
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        return False
    return isinstance(node, ast.Constant | ast.Name | ast.Call | ast.Attribute | ast.Subscript)


def _texts(
    source: Source, pattern: Pattern, use: MemberUse, names: CodeNames, given: dict[str, ast.expr]
) -> dict[str, str]:
    itself = names.itself or _SELF.get(pattern.diagnostic, names.optimizer)
    texts = {"optimizer": names.optimizer, "self": itself, "index": "0", "value": "value"}
    for name, default in pattern.takes:
        if name in given:
            text = shown(source, given[name])
            texts[name] = text if text is not None and not isinstance(given[name], ast.NamedExpr) else name
        elif name != "optimizer":
            texts[name] = default if default is not None else name
    if use.index is not None:
        texts["index"] = shown(source, use.index) or "0"
    return texts


def _fits(template: Replacement, pattern: Pattern, given: dict[str, ast.expr]) -> bool:
    defaults = dict(pattern.takes)
    for name, wanted in template.when.items():
        default = defaults.get(name)
        node = given.get(name) or (ast.parse(default, mode="eval").body if default is not None else None)
        value = read_value(node) if node is not None else Value()
        if not value.known or not same_value(value.literal, wanted):  # type: ignore[arg-type]
            return False
    return True


def _new_value(source: Source, use: MemberUse, current: str) -> str:
    """The assigned value, with the target's way of reading what the source reads of itself."""
    assert use.value is not None
    assert use.target is not None
    text = shown(source, use.value)
    if text is None:
        return "value"
    own = shown(source, use.target)
    text = text.replace(own, current) if own else text
    if isinstance(use.value, ast.Tuple | ast.NamedExpr | ast.Yield | ast.YieldFrom):
        text = text if text.startswith("(") and text.endswith(")") else f"({text})"
    if use.operator is None:
        return text
    operator = _OPERATORS.get(type(use.operator))
    return f"{current} {operator} {text if _is_simple(text) else f'({text})'}" if operator is not None else "value"
