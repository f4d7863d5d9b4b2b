"""`torch.save(model.state_dict(), "m.pt")` and its loading, of what is rewritten: the target has files of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from optmap.diagnostics import NAME_DIFFERS
from optmap.mapping.frameworks import Facts, Saving, fill
from optmap.source.syntax import chain_of
from optmap.source.templates import CallTemplate, NewArgument, Template, copied
from optmap.translate.discover.events import Training, model_uses
from optmap.translate.findings import Finding
from optmap.translate.steps.names.kinds import Kind
from optmap.translate.steps.names.references import NameRewriter
from optmap.translate.steps.names.tensors import PATH
from optmap.values import NamedTuple

_CONVERT: Final = "save one with this program first, or convert it with `optmap convert-state`"


class _Use(NamedTuple):
    """A call that writes or reads a file with the state of a model or an optimizer.

    `whole` is what the target's code takes the place of, `asked` the call that gives or takes the state.
    """

    file: ast.Call
    path: ast.Constant
    asked: ast.Call
    of: ast.expr
    loads: bool
    optimizer: bool

    @property
    def whole(self) -> ast.Call:
        return self.asked if self.loads and self.optimizer else self.file


def saved_states(
    names: NameRewriter, training: Training, own: Facts, target: Facts
) -> Iterator[tuple[Finding | None, ast.Call]]:
    """Write how states are saved and loaded, each with what is to be said and the call of which other passes speak.

    What stays is reported with other uses of the framework.
    """
    if own.saving is None or target.saving is None:
        return
    models = {id(use) for use in model_uses(training)}
    made = {id(site.node) for holder in training.holders for site in holder.sites}
    found = (_use(names, call, own.saving, models, made) for call in training.module.nodes(ast.Call))
    uses = [use for use in found if use is not None and (not use.optimizer or target.saving.holds is not None)]
    files = {id(use.path) for use in uses}
    for use in uses:
        text = _renamed(names, use.path, own.saving, target.saving)
        same = (node for node in training.module.nodes(ast.Constant) if node.value == use.path.value)
        # what else asks for the file would not find it
        if text is None or any(id(node) not in files for node in same) or not _write(names, use, target.saving, text):
            continue
        said = f"a file that {own.title} saved cannot be loaded: {_CONVERT if use.optimizer else _CONVERT.partition(',')[0]}"
        yield Finding(NAME_DIFFERS, f"{target.saving.load}: {said}", use.file) if use.loads else None, use.asked


def _write(names: NameRewriter, use: _Use, target: Saving, path: str) -> bool:
    """Write the target's code; False where the file binds its names to something else."""
    changes = names.changes
    if use.optimizer:
        text = fill((target.restores if use.loads else target.holds) or "", optimizer=ast.unparse(use.of), path=path)
        for written in dict.fromkeys(PATH.findall(text)):
            spelled = names.spelled(written, use.whole)
            if spelled is None:
                return False
            text = text.replace(f"{written}(", f"{spelled}(")
        changes.replace(use.whole, Template(text))
    else:
        callee = names.spelled(target.load if use.loads else target.save, use.whole)
        if callee is None:
            return False
        state = [] if use.loads else [NewArgument(None, copied(use.asked), 0)]
        given = (*state, NewArgument(None, Template(path), len(state)))
        changes.replace(use.file, CallTemplate(Template(callee), given))
    changes.stays[:] = [item for item in changes.stays if item[0] is not use.file.func]
    changes.gone.append(use.file.func)
    return True


def _use(names: NameRewriter, call: ast.Call, own: Saving, models: set[int], made: set[int]) -> _Use | None:
    """A call that saves or loads the state of what is rewritten, in a file that is named there."""
    path = names.path(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else None
    asked: ast.AST | None
    if path == own.save and len(call.args) == 2 and not call.keywords:
        asked, file, method, given = call.args[0], call.args[1], own.gives, 0
    elif path == own.load and len(call.args) == 1 and all(word.arg in own.idle for word in call.keywords):
        asked, file, method, given = names.module.parent(call), call.args[0], own.takes, 1
    else:
        return None
    func = asked.func if isinstance(asked, ast.Call) and len(asked.args) == given and not asked.keywords else None
    if not isinstance(func, ast.Attribute) or func.attr != method or not isinstance(file, ast.Constant):
        return None
    assert isinstance(asked, ast.Call)
    model = id(func.value) in models or names.kinds.of(func.value).kind is Kind.MODEL
    held = names.module.reaching(func.value) if not model and chain_of(func.value) is not None else None
    optimizer = held is not None and held.complete and {id(item) for item in held.values} <= made
    outer = names.module.parent(asked if given else call)
    if not isinstance(file.value, str) or not (model or (optimizer and isinstance(outer, ast.Expr))):
        return None
    return _Use(call, file, asked, func.value, bool(given), optimizer)


def _renamed(names: NameRewriter, path: ast.Constant, own: Saving, target: Saving) -> str | None:
    """The text of a file's name with the ending that the target insists on; None where it has another one."""
    text = names.source.text(names.source.start(path), names.source.end(path))
    quote = text[-1:]
    if text != f"{quote}{path.value!s}{quote}":
        return None
    stem = next((text[: -1 - len(item)] for item in own.endings if text[:-1].endswith(item)), None)
    return f"{stem}{target.endings[0]}{quote}" if stem is not None else None
