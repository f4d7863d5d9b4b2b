"""Audits the installed frameworks in parallel, each in its own worker process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from optmap.audit.compare import differences, modules_of, sections_of, unverified
from optmap.audit.results import Audit, FrameworkAudit, Live, LiveModule, ModuleRequest, Request, read_modules
from optmap.mapping.model import PARAMETERS, Framework, MappingSet
from optmap.processes import stderr_tail, worker_command

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
    answer = _ask(framework, interpreter, request, limit)
    if "version" in answer:
        modules: dict[str, LiveModule] = read_modules(answer["modules"])
        return Live(answer["version"], modules)
    if answer["missing"]:
        install = framework.facts.install or f"pip install {request.package}"
        raise AuditError(f"{request.package} is not installed; {install}", installed=False)
    raise AuditError(f"{request.package} cannot be imported: {answer['error']}")


def _ask(framework: Framework, interpreter: str, request: Request, limit: float) -> dict[str, Any]:
    """Send the request and read the answer, through files: a surviving child of the worker could keep a pipe open."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(json.dumps(request).encode())
        stdin.seek(0)
        try:
            code = subprocess.run(
                worker_command(interpreter, "optmap.audit.worker"),
                stdin=stdin, stdout=stdout, stderr=stderr, timeout=limit, check=False,
            ).returncode  # fmt: skip
        except OSError as error:
            raise AuditError(f"{interpreter} cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            text = f"the {framework} worker did not answer within {limit:g} seconds"
            raise AuditError(text + stderr_tail(stderr)) from None
        stdout.seek(0)
        return _answer(stdout.read(), code, f"the {framework} worker", stderr_tail(stderr))


def _answer(output: bytes, code: int, worker: str, stderr: str) -> dict[str, Any]:
    """Parse the answer, whatever the exit code: a framework may crash after the answer was written."""
    try:
        answer = json.loads(output)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    if code:
        raise AuditError(f"{worker} exited with code {code}{stderr}")
    raise AuditError(f"{worker} sent an invalid answer: found {output[:40]!r}{stderr}")
