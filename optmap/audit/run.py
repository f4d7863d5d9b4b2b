"""Audits the installed frameworks in parallel, each in its own worker process."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from optmap.audit.compare import differences, merged, modules_of, sections_of, unverified
from optmap.audit.results import WIRED, Audit, FrameworkAudit, Live, ModuleRequest, Request
from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.vocabulary import PARAMETERS
from optmap.processes import Worker, WorkerError

LIMIT: Final = 180.0
"""Seconds that a worker may take to import its framework and inspect it."""


class AuditError(Exception):
    """A framework cannot be inspected; the message gives the reason. `installed` is false if it is missing."""

    def __init__(self, message: str, *, installed: bool = True) -> None:
        super().__init__(message)
        self.installed = installed


def audit(
    tables: MappingSet,
    frameworks: Sequence[Framework] | None = None,
    interpreters: Mapping[Framework, str] | None = None,
    schedules: MappingSet | None = None,
    *,
    limit: float = LIMIT,
) -> Audit:
    """Compare the frameworks' sections with their installation for this interpreter, or for the given interpreters.

    Without `frameworks`, all are compared; with the tables of schedules also these, and by what the classes do.
    """
    chosen = interpreters or {}
    frameworks = tuple(tables.frameworks.values()) if frameworks is None else frameworks
    with ThreadPoolExecutor(len(frameworks) or 1) as threads:
        asked = [
            threads.submit(_one, tables, schedules, framework, chosen.get(framework, sys.executable), limit)
            for framework in frameworks
        ]
        return Audit(tuple(each.result() for each in asked))


def _one(
    tables: MappingSet, schedules: MappingSet | None, framework: Framework, interpreter: str, limit: float
) -> FrameworkAudit:
    both = [tables] if schedules is None else [tables, schedules]
    try:
        lives = _inspected([request_for(each, framework) for each in both], framework, interpreter, limit)
    except AuditError as error:
        return FrameworkAudit(framework, failure=str(error), installed=error.installed)
    parts = [_compared(each, framework, live) for each, live in zip(both, lives, strict=True)]
    found = parts[0]
    for part in parts[1:]:
        found = found._replace(
            sections=found.sections + part.sections,
            differences=found.differences + part.differences,
            unverified=merged(found.unverified, part.unverified),
            notes=tuple(dict.fromkeys(found.notes + part.notes)),
            failure=found.failure or part.failure,
        )
    return found if schedules is None else _with_behaviour(tables, schedules, framework, interpreter, found, lives)


def _compared(tables: MappingSet, framework: Framework, live: Live) -> FrameworkAudit:
    """The signatures of one set of tables."""
    broken = [f"{name} cannot be imported: {item.broken}" for name, item in live.modules.items() if item.broken]
    absent = [name for name, item in live.modules.items() if item.absent is not None]
    sections = [api for module in modules_of(tables, framework) for api in sections_of(tables, module)]
    return FrameworkAudit(
        framework,
        live.version,
        sum(api.module.name not in absent for api in sections),
        tuple(differences(tables, framework, live)),
        unverified(tables, live.modules),
        tuple(f"{name} is not audited: {live.modules[name].absent} is not installed" for name in absent),
        failure="; ".join(broken) or None,
    )


def _with_behaviour(
    tables: MappingSet, schedules: MappingSet, framework: Framework, interpreter: str, found: FrameworkAudit,
    lives: Sequence[Live],
) -> FrameworkAudit:  # fmt: skip
    """Add what classes do that differs from their sections; a class whose signature differs is not called."""
    from optmap.audit.rates import wrong_rates
    from optmap.audit.values import wrong_values
    from optmap.conformance.engines import ENGINES
    from optmap.conformance.pool import Session

    engine = f"{framework}-real" if f"{framework}-real" in ENGINES else str(framework)
    wrong = {item.api for item in found.differences}
    installed = {f"{name}.{each}" for live in lives for name, item in live.modules.items()
                 for each, kind in item.classes.items() if kind is not None}  # fmt: skip
    apis = [api for each in (tables, schedules) for api in each.apis.values() if api.name in installed - wrong]
    if engine not in ENGINES or not apis:
        return found
    session = Session(engine, interpreter)
    try:
        more = (*wrong_values(tables, schedules, apis, session), *wrong_rates(schedules, apis, session))
    except WorkerError as error:
        return found._replace(notes=(*found.notes, f"accepted values and rates are not audited: {error}"))
    finally:
        session.close()
    return found._replace(differences=found.differences + more, called=len(apis))


def request_for(tables: MappingSet, framework: Framework) -> Request:
    """The request for a framework: its modules, and what distinguishes optimizers from other members."""
    modules = modules_of(tables, framework)
    apis = [api for module in modules for api in sections_of(tables, module)]
    ties = {PARAMETERS, "learning_rate"}
    marker_parameters = {row.name for api in apis for row in api.parameters if ties & set(row.ties)}
    return Request(
        framework.facts.packages[0],
        tuple(
            ModuleRequest(
                module.name, module.paths[0], module.package, module.exclusive, module.others, module.schedules,
                tuple(api.class_name for api in apis if api.module.name == module.name),
            )
            for module in modules
        ),
        tuple(path for module in modules for path in (*module.paths, *module.pinned)) + _others(framework),
        tuple(sorted(marker_parameters)),
    )  # fmt: skip


def _others(framework: Framework) -> tuple[str, ...]:
    """The paths of members that are known not to be optimizers, such as modules with something else."""
    modules = framework.facts.modules.values()
    return tuple(f"{module.paths[0]}.{name}" for module in modules for name in module.others)


def inspect_installed(
    request: Request, framework: Framework, interpreter: str = sys.executable, limit: float = LIMIT
) -> Live:
    """Inspect a framework in a worker. Raises AuditError if it is not installed, or if the worker dies or hangs."""
    return _inspected([request], framework, interpreter, limit)[0]


def _inspected(requests: Sequence[Request], framework: Framework, interpreter: str, limit: float) -> list[Live]:
    worker = Worker(framework, interpreter, "optmap.audit.worker", classes=WIRED)
    try:
        return [_answered(request, framework, worker.ask({"request": request}, limit)) for request in requests]
    except WorkerError as error:
        raise AuditError(str(error)) from None
    finally:
        worker.close()


def _answered(request: Request, framework: Framework, answer: dict[str, Any]) -> Live:
    if "version" in answer:
        return Live(answer["version"], answer["modules"])
    if answer["missing"]:
        install = framework.facts.install or f"pip install {request.package}"
        raise AuditError(f"{request.package} is not installed; {install}", installed=False)
    raise AuditError(f"{request.package} cannot be imported: {answer['error']}")
