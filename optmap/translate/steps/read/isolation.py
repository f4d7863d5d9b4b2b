"""What stands around and inside a step must have nothing to do with its gradients."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from optmap.mapping.frameworks import Kind
from optmap.source.edits import rest_of_line, starts_line
from optmap.source.flow import expressions, same_scope
from optmap.source.names import Function
from optmap.source.scopes import chain_of
from optmap.source.text import Source
from optmap.translate.discover.events import Holder
from optmap.translate.discover.sites import CallSite
from optmap.translate.steps.read.clips import clips_between
from optmap.translate.steps.read.forward import ForwardReading
from optmap.translate.steps.read.plan import FIELDS, GROUND, HARMLESS, JUMPS, NotPlain, Ready, is_backward, shown

_FLOW_WORDS: Final = ("grad", "backward", "step", "scale", "reduce", "sync")
"""Parts of names of methods that may look at gradients or change parameters."""


class AroundReading(ForwardReading):
    """Checks what is near a step."""

    def _surroundings(self, step: ast.Expr) -> None:
        """What else in the same function has to do with gradients."""
        for node in self.event.ancestors[self._depth() :]:
            if isinstance(node, ast.With | ast.AsyncWith):
                for item in node.items:
                    text = shown(item.context_expr)
                    if any(word in text for word in ("autocast", "grad", "torch", "amp", "no_sync")):
                        raise NotPlain(f"the step runs under {text} (line {node.lineno})")
            if isinstance(node, ast.Try):
                raise NotPlain(f"the step stands in a try statement (line {node.lineno})")
        if isinstance(self.function, ast.AsyncFunctionDef):
            raise NotPlain("the step stands in an async function")
        self._find_clips(step)
        clipping = {id(node) for clip in self.clips for node in ast.walk(clip.statement)}
        known = {id(self.backward)}
        for event in self.events:
            if event.kind in (Kind.STEP, Kind.SCALED_STEP) and event.holder != self.holder and self._here(event):
                raise NotPlain(
                    f"{event.holder.text if event.holder else 'another optimizer'} steps in the same function"
                )
            if event.kind is Kind.STEP and event is not self.event and self._here(event):
                raise NotPlain(f"{self.holder.text} steps again in the same function (line {event.call.lineno})")
        for statement in self._own_statements():
            if is_backward(statement) and id(statement) not in known:
                raise NotPlain(f"there is another backward pass in the same function (line {statement.lineno})")
            for node in expressions(statement):
                word = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
                if word.startswith("clip_grad") and id(node) not in clipping:
                    raise NotPlain(f"the gradients are clipped (line {node.lineno})")  # type: ignore[attr-defined]
                if isinstance(node, ast.Attribute) and (node.attr == "grad" or node.attr.startswith("register_")):
                    raise NotPlain(f"gradients are looked at one by one (line {node.lineno})")
                if word in ("unscale_", "GradScaler"):
                    raise NotPlain(f"a gradient scaler is used (line {node.lineno})")  # type: ignore[attr-defined]

    def _find_clips(self, step: ast.Expr) -> None:
        """What clips all gradients between the backward pass and the step, if it stands there alone."""
        assert self.backward is not None
        place = self.block.index
        self.clips = list(clips_between(self, self.block[place(self.backward) + 1 : place(step)]))
        self._layout([clip.statement for clip in self.clips])

    def _layout(self, involved: Sequence[ast.stmt]) -> None:
        for statement in involved:
            end = self.source.end(statement)
            line = rest_of_line(self.source, end)
            tail = self.source.text(line.start, line.end).strip()
            if not starts_line(self.source, self.source.start(statement)) or (tail and not tail.startswith("#")):
                raise NotPlain(f"several statements share line {statement.lineno}")

    def _between(self, step: ast.Expr, zeros: Sequence[ast.stmt]) -> None:
        """What stays between the forward part and the step must not see gradients or parameters."""
        assert self.backward is not None
        first = self.block.index(self.region[-1] if self.region else self.backward) + 1
        for statement in self.block[first : self.block.index(step)]:
            if statement is not self.backward and statement not in zeros:
                self._check_harmless(statement, self._cleared_before(statement, zeros))

    def _cleared_before(self, statement: ast.stmt, zeros: Sequence[ast.stmt]) -> bool:
        """Tell whether a jump from the statement leaves no gradients behind that the next step would add to."""
        place = self.block.index
        assert self.backward is not None
        return place(statement) < place(self.backward) or all(place(zero) < place(self.backward) for zero in zeros)

    def _check_harmless(self, statement: ast.stmt, may_jump: bool) -> None:
        problem = f"line {statement.lineno} stands between the forward part and the step"
        clipping = {id(inner) for clip in self.clips for inner in ast.walk(clip.statement)}
        raised = {id(inner) for node in ast.walk(statement) if isinstance(node, ast.Raise) for inner in ast.walk(node)}
        for node in ast.walk(statement):
            if id(node) in clipping or (id(node) in raised and not isinstance(node, ast.Raise)):
                continue
            if isinstance(node, ast.stmt) and not isinstance(node, (*GROUND, *JUMPS) if may_jump else GROUND):
                raise NotPlain(problem)
            if isinstance(node, ast.Name | ast.Attribute):
                chain = chain_of(node)
                if chain is not None and (
                    chain[: len(self.holder.chain)] == self.holder.chain
                    or any(chain == model or chain[: len(model)] == model for model in self.holder.models or ())
                ):
                    raise NotPlain(f"{problem} and uses {'.'.join(chain)}")
            if isinstance(node, ast.Call):
                chain = chain_of(node.func)
                if isinstance(node.func, ast.Name):
                    fine = node.func.id in HARMLESS
                elif chain is not None and chain[0] == "self":
                    fine = len(chain) > 2 and not any(word in chain[-1] for word in _FLOW_WORDS)
                else:
                    fine = isinstance(node.func, ast.Attribute) and not any(
                        word in node.func.attr for word in _FLOW_WORDS
                    )
                if not fine:
                    raise NotPlain(f"{problem} and calls {shown(node.func)}")

    def _training(self) -> tuple[tuple[str, ...], ...]:
        """The models to put into training mode in front of the forward function: torch's are in it from the start.

        Where the file puts models into evaluation mode, that would undo it: `ready` then names the statements that
        construct the optimizer, behind which models are put into training mode.
        """
        if self.holder.models is None:
            raise NotPlain("which models the optimizer trains cannot be told where it steps")
        found: list[tuple[str, ...]] = []
        sites: dict[int, CallSite] = {}
        for holder, model in [*((self.holder, model) for model in self.holder.models), *self._called_besides()]:
            self._check_seen(model)
            whole = self._whole(model)
            if not any(self._set_before(model[:end]) for end in range(1, len(model) + 1)) and whole not in found:
                found.append(whole)
                sites |= {id(site): site for site in holder.sites}
        if found and evaluates(self.source):
            self.ready = [self._constructed(site) for site in sites.values()]
            return ()
        return tuple(found)

    def _set_before(self, model: tuple[str, ...]) -> bool:
        """Tell whether the function surely puts a model into training mode before it steps."""
        path = self.event.ancestors[self._depth() :]
        for block in (self.function.body, *(getattr(node, name, []) for node in path for name in FIELDS)):  # type: ignore[attr-defined]
            around = next((index for index, item in enumerate(block) if item in path), 0)
            for statement in block[:around]:
                alone = isinstance(statement, ast.Expr) or (
                    isinstance(statement, ast.Assign) and len(statement.targets) == 1
                )
                if alone and any(mode == "train" for _, mode in _modes([statement], model)):
                    return True
        return False

    def _called_besides(self) -> Iterator[tuple[Holder, tuple[str, ...]]]:
        """Models of other optimizers that the forward part calls: they are in training mode from the start, too."""
        nodes = [node for item in (*self.region, self.backward) if item is not None for node in ast.walk(item)]
        called = {chain_of(node.func) for node in nodes if isinstance(node, ast.Call)}
        for holder in self.finder.holders:
            inside = holder.chain[0] == "self" and holder.place is self.holder.place
            for model in holder.models or ():
                place = self.finder.scopes.get(id(holder.place))
                owner = self._owner(model[0])
                same = inside or (place is not None and owner is not None and place.owner(model[0]) is owner)
                if same and model in called and model not in (self.holder.models or ()):
                    yield holder, model

    def _whole(self, model: tuple[str, ...]) -> tuple[str, ...]:
        """The model that a part such as `model.head` belongs to: the rest of it is in training mode, too."""
        least = 1 if model[0] != "self" else 2
        if len(model) <= least:
            return model
        owner = self._owner(model[0])
        if model[0] == "self" and model[:2] in {chain[:2] for chain in self.holder.models or () if len(chain) == 2}:
            return model[:2]
        values = [binding.value for binding in owner.bindings[model[0]]] if owner is not None and least == 1 else []
        for value in values:
            chain = chain_of(value.func) if isinstance(value, ast.Call) else None
            if chain is None or len(values) > 1 or not self._is_model_class(chain):
                break
            return model[:1]
        raise NotPlain(
            f"{'.'.join(model)} is trained, and the model around it is not put into training mode beside the step"
        )

    def _is_model_class(self, chain: tuple[str, ...]) -> bool:
        """Tell whether a name is a class of the file that is derived from something, as models are."""
        return len(chain) == 1 and any(
            isinstance(node, ast.ClassDef) and node.name == chain[0] and node.bases for node in self.source.tree.body
        )

    def _check_seen(self, model: tuple[str, ...]) -> None:
        """A name of the model must mean the same where the optimizer is held and where it steps."""
        place = self.finder.scopes.get(id(self.holder.place), self.names.module)
        if model[0] != "self" and self._owner(model[0]) is not place.owner(model[0]):
            raise NotPlain(f"{model[0]} is another variable in the function that steps")

    def _constructed(self, site: CallSite) -> Ready:
        """Where, and by what names, the models of a constructor can be put into training mode."""
        statement = site.ancestors[-2]
        trained = self.finder.trained(site)
        models = tuple(dict.fromkeys(map(self._whole, trained))) if trained is not None else None
        if models is None or not isinstance(statement, ast.Assign | ast.AnnAssign):
            raise NotPlain("the file puts models into evaluation mode, and none into training mode beside the step")
        self._layout([statement])
        around = [node for node in site.ancestors if isinstance(node, Function)]
        body: Sequence[ast.AST] = around[-1].body if around else self.source.tree.body
        for model in models:
            for line, mode in _modes(same_scope(body), model):
                if mode == "eval" and line < statement.lineno:
                    raise NotPlain(f"{'.'.join(model)} is in evaluation mode (line {line})")
        return Ready(statement, models)


def _modes(statements: Iterable[ast.AST], model: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """The lines that put a model into a mode, each with the method's name."""
    for node in (node for statement in statements for node in expressions(statement)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("train", "eval"):
            given = node.args[0] if node.args else None
            off = given is not None and not (isinstance(given, ast.Constant) and given.value is True)
            if chain_of(node.func.value) == model:
                yield node.lineno, "eval" if off else node.func.attr


@lru_cache(maxsize=1)
def evaluates(source: Source) -> bool:
    """Tell whether the file puts anything into evaluation mode."""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and ((node.func.attr == "eval" and not node.args) or (node.func.attr == "train" and bool(node.args or node.keywords)))
        for node in source.nodes
    )  # fmt: skip
