"""Statements that clip gradients, in the words of the target."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Final

from optmap.mapping.frameworks import Facts, fill
from optmap.source.model import Module
from optmap.source.syntax import inner
from optmap.translate.constructors.spelling import NewImport, spell_path
from optmap.translate.steps.read.plan import Clip, PlainStep
from optmap.translate.steps.reasons import NotPlain, Why

_PATH: Final = re.compile(r"(?<![\w.])[a-z]\w*(?:\.[a-z]\w*)+(?=\()")


def clipping(clip: Clip, words: Mapping[str, str], gradients: str, model: str = "") -> str:
    """The statement that clips gradients; torch's are those of a model."""
    before, after = clip.given or gradients, clip.made or gradients
    return fill(words[clip.how], grads=before, made=after, bound=ast.unparse(clip.bound), model=model)


def own_clipping(plan: PlainStep, words: Mapping[str, str], gradients: str, model: str = "") -> str:
    """The lines that clip as the optimizer did by itself."""
    name = plan.clipped(gradients)
    return "".join(f"{clipping(clip, words, name, model)}\n" for clip in plan.own_clips)


def spelled_clips(module: Module, facts: Facts, clips: Iterable[Clip], needed: list[NewImport]) -> Mapping[str, str]:
    """How the target clips gradients, with its names as the file spells them. Raises NotPlain where it cannot."""
    found: dict[str, str] = {}
    for clip in clips:
        text = facts.steps.shown.clip.get(clip.how)
        if text is None:
            raise NotPlain(Why.CLIPPED, line=clip.statement.lineno)
        found[clip.how] = spelled(module, facts, text, clip.statement, needed)
    return found


def spelled(module: Module, facts: Facts, text: str, at: ast.stmt, needed: list[NewImport]) -> str:
    """Code with the target's names as the file spells them. Raises NotPlain where it cannot."""
    for written in dict.fromkeys(_PATH.findall(text)):
        root, _, rest = written.partition(".")
        if root not in facts.names:
            continue
        spelling = spell_path(module, f"{facts.names[root]}.{rest}", root, at)
        if spelling is None:
            raise NotPlain(Why.NAME_TAKEN, name=root)
        needed += [spelling.needs] if spelling.needs is not None else []
        text = text.replace(f"{written}(", f"{spelling.text}(")
    return text


def calls_of(clip: Clip) -> list[ast.Call]:
    """The calls in the statement, which goes."""
    return [node for node in inner(clip.statement) if isinstance(node, ast.Call)]


def called_in(clip: Clip) -> list[ast.expr]:
    return [call.func for call in calls_of(clip)]
