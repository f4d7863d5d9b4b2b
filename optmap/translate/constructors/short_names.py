"""`from mindspore import nn, ops` in place of `import mindspore`, where the names are free once old imports have gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Sequence

from optmap.mapping.framework import Framework
from optmap.source.changes import Change, Insert, Replace, place_of, texts_of
from optmap.source.model import Module, Variable
from optmap.source.templates import Template
from optmap.translate.constructors.spelling import NewImport
from optmap.translate.unit import Outcome, Rewritten


def shortened(module: Module, target: Framework, before: Outcome, freed: Collection[Variable]) -> Outcome:
    """Import submodules by their own names where several names of one are needed, or the file did so; `freed` are names
    whose imports go."""
    short = _chosen(module, target, list(before.rewritten), freed)
    if not short:
        return before
    paths = "|".join(re.escape(item.path) for item in short)
    pattern = re.compile(rf"(?<![\w.\"'])(?:{paths})(?=\.)")

    root = short[0].path.partition(".")[0]
    named = re.compile(rf"(?<![\w.]){root}\b")

    def spelled(item: Rewritten) -> Rewritten:
        changes = tuple(_respelled(change, pattern) for change in item.changes)
        whole = any(map(named.search, texts_of(changes)))
        needed = [new for new in item.needed if new.path != root or whole]
        return item._replace(changes=changes, needed=(*needed, *short) if item.needed else ())

    return before._replace(
        optimizers=tuple(item._replace(change=spelled(item.change)) for item in before.optimizers),
        schedules=tuple(item._replace(change=spelled(item.change)) for item in before.schedules),
        steps=tuple(map(spelled, before.steps)),
    )


def _chosen(
    module: Module, target: Framework, rewritten: Sequence[Rewritten], freed: Collection[Variable]
) -> list[NewImport]:
    """The submodules that are imported by their own names."""
    facts = target.facts
    new = (new.path for item in rewritten for new in item.needed if new.path == new.name in facts.packages)
    root = next(new, None)
    if root is None or not facts.imports or module.stars() or _imports_from(module, root):
        return []
    changes = [change for item in rewritten for change in item.changes]
    text = "\n".join(texts_of(changes))
    wanted: dict[str, bool] = {}
    for name in facts.imports:
        used = set(re.findall(rf"(?<![\w.\"']){root}\.{name}\.(\w+)", text))
        if used and (own := _is_free(module, name, changes, freed)) is not None:
            wanted[name] = own or len(used) > 1
    return [NewImport(f"{root}.{name}", name) for name in wanted] if any(wanted.values()) else []


def _is_free(module: Module, name: str, changes: Iterable[Change], freed: Collection[Variable]) -> bool | None:
    """Tell whether a name is one that goes, and so becomes free, or was never bound; None where it stays another's."""
    variables = {module.bound(name, place_of(change)) for change in changes}
    if variables and variables <= set(freed):
        return True
    return False if variables == {None} and not module.names(name) and module.bound(name, module.tree) is None else None


def _imports_from(module: Module, root: str) -> bool:
    """Tell whether the file has names from a package already; a sorter of imports would join ours to them."""
    return any(node.module == root for node in module.nodes(ast.ImportFrom))


def _respelled(change: Change, pattern: re.Pattern[str]) -> Change:
    if not isinstance(change, Insert | Replace):
        return change
    made = change.template
    if isinstance(change, Insert) or isinstance(made, Template):
        return change._replace(template=_short(made, pattern))  # type: ignore[arg-type]
    given = tuple(item._replace(value=_short(item.value, pattern)) for item in made.arguments)
    return change._replace(template=made._replace(callee=_short(made.callee, pattern), arguments=given))


def _short(made: Template, pattern: re.Pattern[str]) -> Template:
    slots = tuple((name, _short(slot, pattern) if isinstance(slot, Template) else slot) for name, slot in made.slots)
    return Template(pattern.sub(lambda match: match[0].rpartition(".")[2], made.text), slots)
