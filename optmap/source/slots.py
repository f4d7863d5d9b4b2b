"""Old expressions in new code: their text with the changes inside it, brackets where they are needed, small edits around."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from optmap.source.calls import Span, skip_gap
from optmap.source.changes import inner_span, span_of
from optmap.source.comments import gap_start
from optmap.source.edits import Edit, start_of_line
from optmap.source.templates import Block, Piece, tight_slots
from optmap.source.text import Source

_WORD: Final = re.compile(r"\w+|\s+|.", re.DOTALL)
_CALLED: Final = re.compile(
    rb"(?<![\w.])(?!(?:in|is|not|and|or|if|else|return|yield|await|lambda|from|assert|del|while|for)[ \t]*\Z)[^\W]\w*[ \t]*\Z"
    rb"|[\])'\"\x80-\xff][ \t]*\Z|\.\w+[ \t]*\Z"
)
"""What a bracket may stand behind that belongs to a call; in front of others it only holds an expression together."""


class SlotWriter:
    """Writes templates whose slots hold expressions; `inner` gives the text of a part with the changes inside it."""

    def __init__(self, source: Source, inner: Callable[[Span, ast.expr | Block], str]) -> None:
        self.source = source
        self.inner = inner

    def text(self, node: ast.expr, *, tight: bool) -> str:
        """An old expression's text, with the brackets around it, and the changes inside it."""
        span = bracketed(self.source, node, Span(0, len(self.source.body)))
        text = self.inner(span, node)
        bare = span == span_of(self.source, node) and not self._has_brackets(node)
        return f"({text})" if ((tight or isinstance(node, ast.NamedExpr)) and bare) or self._is_lone(node) else text

    def _has_brackets(self, node: ast.expr) -> bool:
        start = self.source.start(node)
        return isinstance(node, ast.Tuple | ast.GeneratorExp) and self.source.body[start : start + 1] == b"("

    def _is_lone(self, node: ast.expr) -> bool:
        """Tell whether a generator expression has no brackets but those of the call that it is the argument of."""
        return isinstance(node, ast.GeneratorExp) and inner_span(self.source, node) != span_of(self.source, node)

    def render(self, pieces: Sequence[Piece], *, expression: bool = True) -> str:
        """The text of a template whose slots hold expressions."""
        tight = tight_slots(pieces, expression=expression)
        return "".join(
            piece if isinstance(piece, str) else self.text(piece, tight=id(piece) in tight)  # type: ignore[arg-type]
            for piece in pieces
        )

    def in_place(self, span: Span, pieces: Sequence[Piece], node: ast.AST | None = None) -> list[Edit]:
        """Edit what stands between the slots, where they keep their order; else the whole part is written anew."""
        expression = not isinstance(node, ast.stmt)
        slots = [piece for piece in pieces if isinstance(piece, ast.expr)]
        if not slots:
            text = self.render(pieces, expression=expression)
            return [Edit(span.start, span.end, text)] if text != self.source.text(span.start, span.end) else []
        lone = len(pieces) == 1 and span == span_of(self.source, slots[0])
        if lone and not isinstance(slots[0], ast.GeneratorExp | ast.NamedExpr):
            return []
        spans = [span if slot is node else bracketed(self.source, slot, span) for slot in slots]
        bounds = [span.start, *(at for found in spans for at in found), span.end]
        if any(before > after for before, after in pairwise(bounds)):
            return [Edit(span.start, span.end, self.render(pieces, expression=expression))]
        tight = tight_slots(pieces, expression=expression)
        gaps, index = [""], 0
        for piece in pieces:
            if isinstance(piece, str):
                gaps[-1] += piece
                continue
            bare = (id(piece) in tight or isinstance(piece, ast.NamedExpr)) and spans[index] == span_of(
                self.source, slots[index]
            )
            bare = bare and not self._has_brackets(slots[index])
            bare = bare or (self._is_lone(slots[index]) and len(pieces) > 1)
            gaps[-1] += "(" * bare
            gaps.append(")" * bare)
            index += 1
        found = []
        for gap, start, end in zip(gaps, bounds[::2], bounds[1::2], strict=True):
            found += _gap(self.source, start, end, gap)
        return found


def _gap(source: Source, start: int, end: int, text: str) -> list[Edit]:
    """Turn what stands between two slots into a text; what both begin with stays."""
    if start == end and not text:
        return []
    old, new = _WORD.findall(source.text(start, end)), _WORD.findall(text)
    count = 0
    while count < min(len(old), len(new)) and old[count] == new[count]:
        count += 1
    if count == len(old) == len(new):
        return []
    start += sum(len(word.encode()) for word in old[:count])
    return [Edit(start, end, "".join(new[count:]))]


def bracketed(source: Source, node: ast.expr, within: Span) -> Span:
    """The extent of an expression with the brackets around it, those of a call left out."""
    if isinstance(node, ast.GeneratorExp):
        return inner_span(source, node)
    span = span_of(source, node)
    while True:
        before = gap_start(source, span.start, within.start)
        after = skip_gap(source, span.end)
        if before <= within.start or after >= within.end or source.body[before - 1] != 40 or source.body[after] != 41:
            return span
        if _CALLED.search(source.body, max(start_of_line(source, before - 1), before - 40), before - 1):
            return span
        span = Span(before - 1, after + 1)
