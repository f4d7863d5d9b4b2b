"""Strings that stand for an optimizer: model.compile("adam"), optimizers.get("adam"), getattr(torch.optim, "Adam")."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from optmap.diagnostics import DYNAMIC, OPTIMIZER_BY_NAME
from optmap.mapping.around import Around, Factory
from optmap.mapping.model import Api, Framework, MappingSet
from optmap.mapping.values import Value, read_value
from optmap.source.names import Interest, collect
from optmap.source.scopes import Names, Reference, Scope, chain_of
from optmap.source.text import Source
from optmap.translate.constructors.as_text import GivenArgument, constructor
from optmap.translate.discover.sites import Sites
from optmap.translate.findings import Finding
from optmap.translate.options import Options

_KERAS = "tf.keras.optimizers"


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
        self.sites = sites
        self.tables = tables
        self.options = options

    def findings(self, around: Around) -> Iterator[Finding]:
        for reference in self.sites.names.references:
            yield from self._lookup(reference)
        body = self.source.body
        if b".compile(" in body and Framework.TENSORFLOW in self.options.sources:
            yield from self._compiled()
        if b"getattr" in body:
            yield from self._modules()
        for factory in around.factories:
            if factory.framework in self.options.sources and factory.path.rpartition(".")[2].encode() in body:
                yield from self._made(factory)

    def _lookup(self, reference: Reference) -> Iterator[Finding]:
        """`getattr(torch.optim, "Adam")`, `torch.optim.__dict__["Adam"]`, `tf.keras.optimizers.get("adam")`."""
        paths = self.sites.names.paths(reference.chain, reference.scope, reference.node)
        found = self.tables.find(next(iter(paths)) or "") if len(paths) == 1 else None
        if found is None or found[0].framework not in self.options.sources:
            return
        module, rest = found
        parents = reference.ancestors
        parent = parents[-1] if parents else None
        named: _Named | None = None
        node: ast.AST | None = parent
        if isinstance(parent, ast.Call) and rest in ("get", "deserialize") and parent.func is reference.node:
            named = self._identifier(_first(parent, "identifier", "config"))
        elif isinstance(parent, ast.Call) and not rest and getattr(parent.func, "id", "") == "getattr":
            name = parent.args[1] if len(parent.args) > 1 and parent.args[0] is reference.node else None
            named = self._member(module.paths[0], name)
            node = self._constructed(parent, parents[-2] if len(parents) > 1 else None)
        elif isinstance(parent, ast.Subscript) and parent.value is reference.node and rest == "__dict__":
            named = self._member(module.paths[0], parent.slice)
            node = self._constructed(parent, parents[-2] if len(parents) > 1 else None)
        if named is None or not isinstance(node, ast.expr):
            return
        if isinstance(node, ast.Call) and rest not in ("get", "deserialize") and node is not parent:
            given = _keywords(self.source, node, named.api)
            named = named._replace(arguments=given) if given is not None else named
        yield self._finding(node, named, self._model(node, named.api), frozenset({id(reference.node)}))

    def _constructed(self, lookup: ast.expr, parent: ast.AST | None) -> ast.expr:
        return parent if isinstance(parent, ast.Call) and parent.func is lookup else lookup

    def _member(self, path: str, name: ast.expr | None) -> _Named | None:
        text = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""
        api = self.tables.api_at(f"{path}.{text}") if text else None
        return _Named(api) if api is not None else None

    def _identifier(self, node: ast.expr | None) -> _Named | None:
        """What Keras makes of a string in any case, or of {"class_name": ..., "config": {...}}."""
        if isinstance(node, ast.Dict):
            items = {_text(key): value for key, value in zip(node.keys, node.values, strict=True) if key is not None}
            named = self._identifier(items.get("class_name"))
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
        names = {api.class_name.lower(): api for api in self.tables.apis.values() if api.module.name == _KERAS}
        api = names.get(text.lower())
        return _Named(api) if api is not None else None

    def _compiled(self) -> Iterator[Finding]:
        """`model.compile("adam")` in a file that imports Keras."""
        roots = self.tables.roots[Framework.TENSORFLOW]
        calls = [
            node
            for node in self.source.nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "compile"
        ]
        if not calls or not _imports(self.source, roots):
            return
        modules = _imported_names(self.source)
        for call in calls:
            assert isinstance(call.func, ast.Attribute)
            chain = chain_of(call.func.value)
            if chain is not None and chain[0] in modules:
                continue  # re.compile("adam")
            named = self._identifier(self._followed(_first(call, "optimizer")))
            if named is not None:
                yield self._finding(call, named, ".".join(chain) if chain else "model", frozenset())

    def _followed(self, node: ast.expr | None) -> ast.expr | None:
        """A name that the file binds once, to a string, stands for that string."""
        if not isinstance(node, ast.Name):
            return node
        names = collect(self.source, Interest(frozenset(), (), string_hint="\0"), {node.id})
        scope = next((item.scope for item in names.references if item.node is node), None)
        owner = scope.owner(node.id) if scope is not None else None
        bindings = owner.bindings[node.id] if owner is not None else []
        return bindings[0].value if len(bindings) == 1 else None

    def _modules(self) -> Iterator[Finding]:
        """`getattr(torch, "optim")`: the module itself is looked up."""
        names = self.sites.names
        for node in self.source.nodes:
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "getattr" or len(node.args) < 2:
                continue
            chain, text = chain_of(node.args[0]), _text(node.args[1])
            if chain is None or text is None or not _bound_once(names, chain[0]):
                continue
            paths = names.paths(chain, names.module)
            found = self.tables.find(f"{next(iter(paths))}.{text}") if len(paths) == 1 else None
            if found is not None and not found[1] and found[0].framework in self.options.sources:
                message = f"{self._shown(node)} looks the module {found[0].name} up by name"
                yield Finding(DYNAMIC, message, node)

    def _made(self, factory: Factory) -> Iterator[Finding]:
        """A library's function that constructs an optimizer by a short name."""
        root = factory.path.partition(".")[0]
        names = collect(self.source, Interest(frozenset({root}), (factory.path,), string_hint="\0"))
        for reference in names.references:
            parent = reference.ancestors[-1] if reference.ancestors else None
            called = isinstance(parent, ast.Call) and parent.func is reference.node
            if not called or names.paths(reference.chain, reference.scope, reference.node) != {factory.path}:
                continue
            assert isinstance(parent, ast.Call)
            bound = _bind(factory, parent)
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

    def _finding(self, node: ast.expr, named: _Named, model: str, covers: frozenset[int]) -> Finding:
        target, faithful = self.options.target, self.options.faithful
        made = constructor(
            self.tables, named.api, named.arguments, target, model, faithful, parameters=self.options.params
        )
        stands = f"{self._shown(node)} stands for {named.api.name}"
        if made.text is None:
            message = f"{stands}, which cannot be translated: {'; '.join(made.reasons)}"
        else:
            message = f"{stands}; in {target} construct {made.text}{made.warning}"
        return Finding(OPTIMIZER_BY_NAME, message, node, str(named.api.at), covers=covers)

    def _shown(self, node: ast.expr) -> str:
        from optmap.translate.surroundings.messages import shown

        whole = shown(self.source, node)
        if whole is None and isinstance(node, ast.Call):
            return f"{shown(self.source, node.func) or 'this'}(...)"
        return whole or "this"


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _first(call: ast.Call, *names: str) -> ast.expr | None:
    """The first positional argument, or the keyword of one of the names."""
    if call.args:
        return call.args[0]
    return next((item.value for item in call.keywords if item.arg in names), None)


def _written(source: Source, name: str, node: ast.expr) -> GivenArgument:
    text = " ".join(source.text(source.start(node), source.end(node)).split())
    return GivenArgument(name, text, read_value(node))


def _read(text: str) -> Value:
    return read_value(ast.parse(text, mode="eval").body)


def _keywords(source: Source, call: ast.Call, api: Api) -> tuple[GivenArgument, ...] | None:
    """The arguments of a constructor call by keyword; None where * or ** hides some."""
    hidden = any(isinstance(item, ast.Starred) for item in call.args) or any(not item.arg for item in call.keywords)
    positional = [parameter.name for parameter in api.current if not parameter.keyword_only]
    if hidden or len(call.args) > len(positional):
        return None
    pairs: list[tuple[str, ast.expr]] = list(zip(positional, call.args, strict=False))
    pairs += [(str(item.arg), item.value) for item in call.keywords]
    return tuple(_written(source, name, node) for name, node in pairs)


def _bind(factory: Factory, call: ast.Call) -> dict[str, ast.expr]:
    bound = {name: node for (name, _), node in zip(factory.takes, call.args, strict=False)}
    return bound | {item.arg: item.value for item in call.keywords if item.arg is not None}


def _imports(source: Source, roots: Sequence[str]) -> bool:
    return any(
        isinstance(node, ast.Import | ast.ImportFrom) and any(path.partition(".")[0] in roots for path in _paths(node))
        for node in source.nodes
    )


def _paths(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def _imported_names(source: Source) -> set[str]:
    """What import statements of the file bind to modules and names: a model is none of these."""
    return {
        alias.asname or alias.name.partition(".")[0]
        for node in source.nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def _bound_once(names: Names, name: str) -> bool:
    scopes: list[Scope] = [scope for scope in names.scopes if name in scope.bindings]
    return scopes == [names.module]
