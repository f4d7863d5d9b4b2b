"""Strings that stand for an optimizer: model.compile("adam"), optimizers.get("adam"), getattr(torch.optim, "Adam")."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from optmap.diagnostics import DYNAMIC, OPTIMIZER_BY_NAME
from optmap.mapping.around import Around, Factory
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.sections import Api
from optmap.mapping.values import Value, read_value
from optmap.source.bind import BindingProblem, Plain, Signature, Unbound, arguments_of, bind, signature_of
from optmap.source.model import Reference
from optmap.source.paths import root_of
from optmap.source.syntax import chain_of, imported
from optmap.source.text import Source
from optmap.translate.constructors.as_text import GivenArgument, constructor
from optmap.translate.constructors.resolve import Trainer
from optmap.translate.discover.sites import Sites, bind_to
from optmap.translate.discover.trainers import compiled
from optmap.translate.findings import Finding
from optmap.translate.options import Options
from optmap.values import NamedTuple


class _Named(NamedTuple):
    """A string that stands for a class, with what is known of the constructor's arguments."""

    api: Api
    arguments: tuple[GivenArgument, ...] = ()


def lookup_findings(
    source: Source, sites: Sites, around: Around, tables: MappingSet, options: Options
) -> Iterator[Finding]:
    """Yield a finding for each string of the file that names an optimizer of the source frameworks."""
    yield from _Strings(source, sites, tables, options).findings(around)


class _Strings:
    def __init__(self, source: Source, sites: Sites, tables: MappingSet, options: Options) -> None:
        self.source = source
        self.module = sites.module
        self.references = sites.references
        self.tables = tables
        self.options = options

    def findings(self, around: Around) -> Iterator[Finding]:
        for reference in self.references:
            yield from self._lookup(reference)
        body = self.source.body
        for framework in self.options.sources if b".compile(" in body else ():
            if framework.facts.strings is not None:
                yield from self._compiled(framework, framework.facts.strings)
        if b"getattr" in body:
            yield from self._modules()
        for factory in around.factories:
            if factory.framework in self.options.sources and factory.path.rpartition(".")[2].encode() in body:
                yield from self._made(factory)

    def _lookup(self, reference: Reference) -> Iterator[Finding]:
        """`getattr(torch.optim, "Adam")`, `torch.optim.__dict__["Adam"]`, `tf.keras.optimizers.get("adam")`."""
        found = self.tables.find(self.module.path(reference.node) or "")
        if found is None or found[0].framework not in self.options.sources:
            return
        module, rest = found
        parent = self.module.parent(reference.node)
        named: _Named | None = None
        node: ast.AST | None = parent
        if isinstance(parent, ast.Call) and rest in ("get", "deserialize") and parent.func is reference.node:
            named = self._identifier(_argument(parent), module.name)
        elif isinstance(parent, ast.Call) and not rest and getattr(parent.func, "id", "") == "getattr":
            name = parent.args[1] if len(parent.args) > 1 and parent.args[0] is reference.node else None
            named = self._member(module.paths[0], name)
            node = self._constructed(parent)
        elif isinstance(parent, ast.Subscript) and parent.value is reference.node and rest == "__dict__":
            named = self._member(module.paths[0], parent.slice)
            node = self._constructed(parent)
        if named is None or not isinstance(node, ast.expr):
            return
        if isinstance(node, ast.Call) and rest not in ("get", "deserialize") and node is not parent:
            given = _keywords(self.source, node, named.api)
            named = named._replace(arguments=given) if given is not None else named
        yield self._finding(node, named, self._model(node, named.api), frozenset({id(reference.node)}))

    def _constructed(self, lookup: ast.expr) -> ast.expr:
        return self.module.call_of(lookup) or lookup

    def _member(self, path: str, name: ast.expr | None) -> _Named | None:
        text = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""
        api = self.tables.api_at(f"{path}.{text}") if text else None
        return _Named(api) if api is not None else None

    def _identifier(self, node: ast.expr | None, module: str) -> _Named | None:
        """What Keras makes of a string in any case, or of {"class_name": ..., "config": {...}}."""
        if isinstance(node, ast.Dict):
            items = {_text(key): value for key, value in zip(node.keys, node.values, strict=True) if key is not None}
            named = self._identifier(items.get("class_name"), module)
            config = items.get("config")
            if named is None or not isinstance(config, ast.Dict | None):
                return None
            pairs = zip(config.keys, config.values, strict=True) if config is not None else ()
            given = [(_text(key) if key is not None else None, value) for key, value in pairs]
            if any(name is None for name, _ in given):
                return None
            return named._replace(arguments=tuple(_written(self.source, str(name), value) for name, value in given))
        text = _text(node)
        if text is None:
            return None
        older = {api.module.name for api in self.tables.older.values()}
        found = [api for api in self.tables.apis.values() if api.module.name in (module, *older)]
        names = {api.class_name.lower(): api for api in sorted(found, key=lambda api: api.exists)}
        api = names.get(text.lower())
        return _Named(api) if api is not None else None

    def _compiled(self, framework: Framework, module: str) -> Iterator[Finding]:
        """`model.compile("adam")` in a file that imports the framework; the classes are those of the module."""
        callees = self.module.attributes("compile")
        if not callees or not self._imports(self.tables.roots[framework]):
            return
        for callee in callees:
            call = self.module.call_of(callee)
            if call is None or self._is_imported(root_of(callee)):
                continue  # re.compile("adam")
            given = _argument(call)
            values, complete, _ = self.module.reaching(given) if given is not None else ((), False, None)
            named = self._identifier(values[0], module) if complete and len(values) == 1 else None
            if named is not None:
                chain = chain_of(callee.value)
                trainer = compiled(call, self.options.target)
                yield self._finding(call, named, ".".join(chain) if chain else "model", frozenset(), trainer)

    def _imports(self, roots: Sequence[str]) -> bool:
        imports = self.module.nodes(ast.Import, ast.ImportFrom)
        return any(path.partition(".")[0] in roots for node in imports for _, _, path in imported(node))

    def _is_imported(self, root: ast.Name | None) -> bool:
        """Tell whether a name may stand for a module, or what a module has: a model is none of these."""
        return root is not None and any(path is not None for path in self.module.paths(root))

    def _modules(self) -> Iterator[Finding]:
        """`getattr(torch, "optim")`: the module itself is looked up."""
        for name in self.module.names("getattr"):
            node = self.module.call_of(name)
            if node is None or len(node.args) < 2:
                continue
            text = _text(node.args[1])
            path = self.module.path(node.args[0]) if text is not None else None
            found = self.tables.find(f"{path}.{text}") if path is not None else None
            if found is not None and not found[1] and found[0].framework in self.options.sources:
                message = f"{self._shown(node)} looks the module {found[0].name} up by name"
                yield Finding(DYNAMIC, message, node)

    def _made(self, factory: Factory) -> Iterator[Finding]:
        """A library's function that constructs an optimizer by a short name."""
        for reference in self.module.references([factory.path]).references:
            parent = self.module.call_of(reference.node)
            if parent is None or self.module.path(reference.node) != factory.path:
                continue
            bound = _bound(factory, parent)
            text = _text(bound[factory.name]) if factory.name in bound else dict(factory.takes)[factory.name]
            given = factory.gives.get(str(text).strip("'\"").lower())
            api = self.tables.apis.get(given[0]) if given is not None else None
            if given is None or api is None:
                continue
            arguments = {name: GivenArgument(name, text, _read(text)) for name, text in given[1].items()}
            for name, parameter in factory.passes.items():
                if name in bound and (parameter in arguments or name not in given[1]) and parameter in api.by_name:
                    arguments[parameter] = _written(self.source, parameter, bound[name])
            model = chain_of(bound[factory.model]) if factory.model in bound else None
            finding = self._finding(
                parent, _Named(api, tuple(arguments.values())), ".".join(model) if model else "model", frozenset()
            )
            yield finding._replace(message=f"{finding.message}; {factory.note}", table=str(factory.at))

    def _model(self, node: ast.expr, api: Api) -> str:
        """The model whose parameters the call is given: `model` in `(model.parameters(), ...)`."""
        first = node.args[0] if isinstance(node, ast.Call) and node.args else None
        if isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute):
            chain = chain_of(first.func.value)
            if chain is not None and api.parameters_argument is not None:
                return ".".join(chain)
        return "model"

    def _finding(
        self, node: ast.expr, named: _Named, model: str, covers: frozenset[int], trainer: Trainer | None = None
    ) -> Finding:
        target = self.options.target
        made = constructor(
            self.tables, named.api, named.arguments, target, model, self.options.prefer, trainer=trainer,
            parameters=self.options.params,
        )  # fmt: skip
        if made.text is None:
            message = f"{named.api.name} is named here and cannot be translated: {made.reasons[0]}"
            detail = "; ".join(made.reasons[1:]) or None
        else:
            differs = f"; {made.warning}" if made.warning else ""
            message, detail = (
                f"{named.api.name} is named here: pass an optimizer of {target.facts.title}{differs}",
                None,
            )
        table = str(named.api.at)
        return Finding(OPTIMIZER_BY_NAME, message, node, table, made.text, covers, detail)

    def _shown(self, node: ast.expr) -> str:
        from optmap.translate.surroundings.messages import shown

        whole = shown(self.source, node)
        if whole is None and isinstance(node, ast.Call):
            return f"{shown(self.source, node.func) or 'this'}(...)"
        return whole or "this"


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


_LOOKUP: Final = signature_of("first=None, /, *more, identifier=None, config=None, optimizer=None, **others")


def _argument(call: ast.Call) -> ast.expr | None:
    """What a call looks up: its first argument, by position or by one of Keras' names."""
    given = (bind(_LOOKUP, call).get(name) for name in ("first", "identifier", "config", "optimizer"))
    return next((item.value for item in given if item is not None and item.index is not None), None)


def _written(source: Source, name: str, node: ast.expr) -> GivenArgument:
    text = " ".join(source.text_of(node).split())
    return GivenArgument(name, text, read_value(node))


def _read(text: str) -> Value:
    return read_value(ast.parse(text, mode="eval").body)


def _keywords(source: Source, call: ast.Call, api: Api) -> tuple[GivenArgument, ...] | None:
    """The arguments of a constructor call by keyword; None where * or ** hides some."""
    found = bind_to(api, call)
    if isinstance(found, Unbound) and (
        found.hidden or any(item.kind is BindingProblem.TOO_MANY for item in found.problems)
    ):
        return None
    names = {item.index: item.parameter.name for item in found.given.values()}
    arguments = enumerate(arguments_of(call))
    return tuple(_written(source, str(names.get(place, name)), node) for place, (_, name, node) in arguments)


def _bound(factory: Factory, call: ast.Call) -> dict[str, ast.expr]:
    """What a call surely gives the parameters of a library's function."""
    parameters = tuple(Plain(name, False, default is None) for name, default in factory.takes)
    found = bind(Signature(parameters, {item.name: item for item in parameters}, True, True), call)
    return {name: item.value for name, item in found.given.items() if item.index is not None}
