"""The formats of `optmap audit`: text, json and github."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from optmap.audit.results import Audit, Difference, FrameworkAudit
from optmap.report.github import annotation
from optmap.shown import count


def text(audit: Audit) -> str:
    """One line per difference, with its position in the tables, then a summary of each framework."""
    lines = [f"{item.at}: {item.message}" for item in audit.differences]
    for framework in audit.frameworks:
        lines += _summary(framework)
    return "".join(f"{line}\n" for line in lines)


def _summary(item: FrameworkAudit) -> Iterator[str]:
    if item.version is None:
        yield f"{item.framework}: not audited: {item.failure}"
        return
    name = f"{item.framework} {item.version}"
    called = f", {item.called} of them called" if item.called else ""
    yield f"{name}: {count(item.sections, 'section')}{called}, {count(len(item.differences), 'difference')}"
    yield from (f"{name}: {line}" for line in _notes(item))


def _notes(item: FrameworkAudit) -> Iterator[str]:
    for each in item.unverified:
        what = f"{count(each.sections, 'section')} verified with {each.package} {each.verified}"
        yield f"{what}; {each.package} {each.installed} is installed"
    yield from item.notes
    if item.failure is not None:
        yield f"not audited: {item.failure}"


def as_json(audit: Audit) -> str:
    """The audit as one JSON document; its keys are a contract."""
    document = {
        "version": 1,
        "frameworks": [_framework(item) for item in audit.frameworks],
        "differences": [_difference(item) for item in audit.differences],
        "summary": {
            "audited": sum(item.version is not None for item in audit.frameworks),
            "differences": len(audit.differences),
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _framework(item: FrameworkAudit) -> dict[str, Any]:
    unverified = [each._asdict() for each in item.unverified]
    return {
        "framework": str(item.framework), "version": item.version, "sections": item.sections, "called": item.called,
        "unverified": unverified, "notes": list(item.notes), "failure": item.failure,
    }  # fmt: skip


def _difference(item: Difference) -> dict[str, Any]:
    return {
        "kind": str(item.kind), "api": item.api, "parameter": item.parameter, "table": item.table, "live": item.live,
        "message": item.message, "file": item.at.file, "line": item.at.line, "column": item.at.column,
    }  # fmt: skip


def github(audit: Audit) -> str:
    """One annotation per difference, per framework not audited, and per set of sections verified with another version."""
    lines = [
        annotation(
            "error", f"optmap audit: {item.kind}", item.message, item.at.file, f"{item.at.line}", f"{item.at.column}"
        )
        for item in audit.differences
    ]
    for framework in audit.frameworks:
        level = "error" if framework.failure and framework.installed else "notice"
        notes = _notes(framework) if framework.version else _summary(framework)
        lines += [annotation(level, "optmap audit", line) for line in notes]
    return "".join(f"{line}\n" for line in lines)


AUDIT_FORMATS: Final[dict[str, Callable[[Audit], str]]] = {"text": text, "json": as_json, "github": github}
