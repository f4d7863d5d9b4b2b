"""Audits the installed frameworks in parallel, each in its own worker process."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from optmap.audit.compare import differences, modules_of, sections_of, unverified
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
    *,
    limit: float = LIMIT,
) -> Audit:
    """Compare the frameworks' sections with their installation for this interpreter, or for the given interpreters.

    Without `frameworks`, all are compared.
    """
    chosen = interpreters or {}
    frameworks = tuple(tables.frameworks.values()) if frameworks is None else frameworks
    with ThreadPoolExecutor(len(frameworks) or 1) as threads:
        asked = [
            threads.submit(_one, tables, framework, chosen.get(framework, sys.executable), limit)
            for framework in frameworks
        ]
        return Audit(tuple(each.result() for each in asked))


def _one(tables: MappingSet, framework: Framework, interpreter: str, limit: float) -> FrameworkAudit:
    try:
        live = inspect_installed(request_for(tables, framework), framework, interpreter, limit)
    except AuditError as error:
        return FrameworkAudit(framework, failure=str(error), installed=error.installed)
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
        tuple(path for module in modules for path in (*module.paths, *module.pinned)),
        tuple(sorted(marker_parameters)),
    )  # fmt: skip


def inspect_installed(
    request: Request, framework: Framework, interpreter: str = sys.executable, limit: float = LIMIT
) -> Live:
    """Inspect a framework in a worker. Raises AuditError if it is not installed, or if the worker dies or hangs."""
    worker = Worker(framework, interpreter, "optmap.audit.worker", classes=WIRED)
    try:
        answer = worker.ask({"request": request}, limit)
    except WorkerError as error:
        raise AuditError(str(error)) from None
    finally:
        worker.close()
    if "version" in answer:
        return Live(answer["version"], answer["modules"])
    if answer["missing"]:
        install = framework.facts.install or f"pip install {request.package}"
        raise AuditError(f"{request.package} is not installed; {install}", installed=False)
    raise AuditError(f"{request.package} cannot be imported: {answer['error']}")
