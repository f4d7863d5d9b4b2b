"""`optmap rules`: what every diagnostic code means."""

from __future__ import annotations

import json

from optmap.cli.rules import Request
from optmap.commands.common import UsageError, choice, reports_usage_errors
from optmap.diagnostics import CODES, WORDS, Code
from optmap.nearest import nearest


@reports_usage_errors
def run(request: Request) -> int:
    """Print one code in full, or a line for each code. Returns the exit code."""
    choice(request.format, "--format", ("text", "json"))
    codes = list(CODES.values()) if not request.code else [_find(request.code)]
    if request.format == "json":
        print(json.dumps({"version": 1, "rules": [_as_dict(code) for code in codes]}, indent=2))
        return 0
    if request.code:
        print(_whole(codes[0]))
        return 0
    for code in codes:
        print(f"{code.id}  {WORDS[code.severity]:<7}  {code.name:<32}  {code.texts.meaning}")
    return 0


def _find(wanted: str) -> Code:
    for code in CODES.values():
        if wanted.upper() == code.id or wanted.lower() == code.name:
            return code
    spelled = wanted.upper() if wanted[:2].lower() == "om" else wanted.lower()
    known = [*CODES, *(code.name for code in CODES.values())]
    raise UsageError(f"unknown code {wanted!r}{nearest(spelled, known)}")


def _as_dict(code: Code) -> dict[str, str]:
    return {"code": code.id, "name": code.name, "severity": str(code.severity), **code.texts._asdict()}


def _whole(code: Code) -> str:
    meaning, example, remedy = code.texts
    return (
        f"{code.id} {code.name} ({WORDS[code.severity]})\n\n{meaning}\n\nExample: {example}\nRemedy:  {remedy}\n"
        f"Silence: # optmap: ignore[{code.id}]"
    )
