"""Compares tables with live signatures. Pure: no framework is imported and nothing is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from optmap.audit.results import (
    Difference,
    Kind,
    Live,
    LiveClass,
    LiveModule,
    LiveParameter,
    UnlistedMember,
    Unverified,
)
from optmap.audit.signature import literal, same_source
from optmap.mapping.frameworks import Module
from optmap.mapping.model import Api, Framework, MappingSet, Parameter
from optmap.mapping.versions import holds


def differences(tables: MappingSet, framework: Framework, live: Live) -> Iterator[Difference]:
    """All differences between the sections of a framework and its live modules, module by module in table order."""
    for module in modules_of(tables, framework):
        found = live.modules.get(module.name)
        if found is None or found.absent is not None or found.broken is not None:
            continue
        apis = sections_of(tables, module)
        if found.gone:
            apis = [api for api in apis if _expected(api, found.version)]
            yield from [_module_gone(module, apis, found.version)] if apis else []
            continue
        for api in apis:
            yield from compare_class(api, found.classes.get(api.class_name), found.version)
        yield from (_unknown(module, item) for item in found.unlisted)


def modules_of(tables: MappingSet, framework: Framework) -> list[Module]:
    """The framework's modules that there still are, in table order."""
    return [module for module in tables.modules.values() if module.framework == framework and not module.until]


def sections_of(tables: MappingSet, module: Module) -> list[Api]:
    """The module's sections, in table order."""
    return [api for api in tables.apis.values() if api.module.name == module.name]


def unverified(tables: MappingSet, modules: dict[str, LiveModule]) -> tuple[Unverified, ...]:
    """Counts of the sections whose class is installed in another version than the section was verified with."""
    found: Counter[tuple[str, str, str]] = Counter()
    for name, module in modules.items():
        for class_name, live in module.classes.items():
            api = tables.apis.get(f"{name}.{class_name}")
            if api is not None and live is not None and api.verified.partition("+")[0] != live.version:
                found[live.package, api.verified, live.version] += 1
    return tuple(Unverified(*key, count) for key, count in found.items())


def compare_class(api: Api, live: LiveClass | None, version: str) -> Iterator[Difference]:
    """All differences between a section and the live class; `version` is the installed version of the section's package."""
    installed = f"{api.module.package} {version}"
    if live is None:
        if _expected(api, version):
            yield Difference(
                api.at, Kind.NO_CLASS, api.name, None, "the table has a section", f"{installed} has no such class"
            )
        return
    if not _expected(api, version):
        table = "the table has it for other versions only"
        yield Difference(api.at, Kind.NEW_CLASS, api.name, None, table, f"{installed} has it")
    if live.hidden:
        text = f"{_name(live)} hides its signature behind a decorator"
        yield Difference(api.at, Kind.HIDDEN, api.name, None, f"the table has {_count(api.current)}", text)
        return
    by_name = {parameter.name: parameter for parameter in live.parameters}
    for row in api.current:
        if row.name in by_name:
            yield from _compare_parameter(api, row, by_name[row.name], live)
        else:
            yield from _compare_taken(api, row, live)
    for name in api.by_name.keys() - {row.name for row in api.current}:  # older names that are still accepted
        if name not in by_name:
            yield from _compare_older(api, name, live)
    yield from _new_parameters(api, live)
    yield from _compare_order(api, live)
    yield from _compare_extra(api, live)


def _expected(api: Api, version: str) -> bool:
    """Whether the installed version should have the class by the table; True for a version that is not a number."""
    try:
        return holds(version, api.since, api.until)
    except ValueError:
        return True


def _compare_parameter(api: Api, row: Parameter, found: LiveParameter, live: LiveClass) -> Iterator[Difference]:
    table, real = _default(row), _live_default(found)
    if not (same_source(row.default, str(found.default)) if not found.literal else table == real):
        yield _of_row(api, row, Kind.DEFAULT, f"the table has {table}", f"{_name(live)} has {real}")
    if ("keyword" if row.keyword_only else "any") != found.kind:
        kinds = {"keyword": "keyword-only", "any": "positional or by keyword", "positional": "positional only"}
        table = f"the table has it {kinds['keyword' if row.keyword_only else 'any']}"
        yield _of_row(api, row, Kind.KEYWORD_ONLY, table, f"{_name(live)} has it {kinds[found.kind]}")


def _compare_taken(api: Api, row: Parameter, live: LiveClass) -> Iterator[Difference]:
    """Compare a row that is not in the signature: the class must read it from its **kwargs."""
    taken = {item.name: item for item in live.taken or ()}
    if row.name in taken:
        table, real = _default(row), _live_default(taken[row.name])
        if taken[row.name].literal and table != real:
            yield _of_row(api, row, Kind.DEFAULT, f"the table has {table}", f"{_name(live)} has {real}")
        if not row.keyword_only:
            text = f"{_name(live)} reads it from **kwargs"
            yield _of_row(api, row, Kind.KEYWORD_ONLY, "the table has it positional or by keyword", text)
        return
    if row.keyword_only and _may_take(row.name, live):
        return
    yield _of_row(
        api, row, Kind.NO_PARAMETER, f"the table has it with {_default(row)}", f"{_name(live)} does not take it"
    )


def _may_take(name: str, live: LiveClass) -> bool:
    return live.extra_keywords and (live.taken is None or name in live.mentioned)


def _compare_older(api: Api, name: str, live: LiveClass) -> Iterator[Difference]:
    if name not in {item.name for item in live.taken or ()} and not _may_take(name, live):
        row = api.by_name[name]
        table, real = f"the table has it as an older name of {row.name}", f"{_name(live)} does not take it"
        yield Difference(row.at, Kind.NO_PARAMETER, api.name, name, table, real)


def _new_parameters(api: Api, live: LiveClass) -> Iterator[Difference]:
    rows = set(api.by_name)
    old = {row.name: row for row in api.parameters if row.name not in rows}
    kinds = {"keyword": ", keyword-only", "positional": ", positional only", "any": ""}
    for item in (*live.parameters, *(live.taken or ())):
        if item.name not in rows:
            hidden = ", read from **kwargs" if item not in live.parameters else kinds[item.kind]
            before = old.get(item.name)
            table = "the table has it for other versions only" if before else "the table does not have it"
            real = f"{_name(live)} has it with {_live_default(item)}{hidden}"
            at = before.at if before else api.at
            yield Difference(at, Kind.NEW_PARAMETER, api.name, item.name, table, real)


def _compare_order(api: Api, live: LiveClass) -> Iterator[Difference]:
    """Compare the order of the common parameters; one difference, at the first one out of order."""
    names = [parameter.name for parameter in live.parameters]
    rows = [row for row in api.current if row.name in names]
    real = [name for name in names if name in {row.name for row in rows}]
    wrong = [index for index, (row, name) in enumerate(zip(rows, real, strict=True)) if row.name != name]
    if wrong:
        part = slice(wrong[0], wrong[-1] + 1)
        table = f"the table has the order {', '.join(row.name for row in rows[part])}"
        text = f"{_name(live)} has {', '.join(real[part])}"
        yield Difference(rows[wrong[0]].at, Kind.ORDER, api.name, None, table, text)


def _compare_extra(api: Api, live: LiveClass) -> Iterator[Difference]:
    if api.extra_keywords is not live.extra_keywords:
        says = {True: "ends in **kwargs", False: "does not end in **kwargs"}
        table, real = (f"signature {says[flag]}" for flag in (api.extra_keywords, live.extra_keywords))
        yield Difference(
            api.at, Kind.EXTRA_KEYWORDS, api.name, None, f"the table's {table}", f"that of {_name(live)} {real[10:]}"
        )
    if live.extra_positional:
        text = f"{_name(live)} accepts any number of positional arguments"
        yield Difference(api.at, Kind.EXTRA_KEYWORDS, api.name, None, "a table cannot have *args", text)


def _module_gone(module: Module, apis: Sequence[Api], version: str) -> Difference:
    table = f"the tables have {len(apis)} section{'s' * (len(apis) != 1)} in it"
    return Difference(
        module.at, Kind.NO_MODULE, module.name, None, table, f"{module.package} {version} has no {module.paths[0]}"
    )


def _unknown(module: Module, item: UnlistedMember) -> Difference:
    where, _, short = item.path.rpartition(".")
    inside = item.path.removeprefix(f"{module.paths[0]}.")
    name = item.path if inside == item.path else f"{module.name}.{inside}"
    live = f"{where} has the {'class' if item.is_class else 'function'} {short}{item.signature}"
    if item.same_as is not None:
        live = f"{where} has it as another name of {item.same_as}"
    return Difference(module.at, Kind.NEW_CLASS, name, None, "no table describes it", live)


def _of_row(api: Api, row: Parameter, kind: Kind, table: str, live: str) -> Difference:
    return Difference(row.at, kind, api.name, row.name, table, live)


def _default(row: Parameter) -> str:
    return "no default" if row.required else f"default {literal(row.default)}"


def _live_default(found: LiveParameter) -> str:
    return "no default" if found.default is None else f"default {found.default}"


def _name(live: LiveClass) -> str:
    return f"{live.package} {live.version}"


def _count(rows: Iterable[Parameter]) -> str:
    number = len(list(rows))
    return f"{number} parameter{'s' * (number != 1)}"
