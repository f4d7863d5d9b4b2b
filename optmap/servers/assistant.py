"""`optmap mcp`: translate, explain, check and list as tools for an assistant, over stdin and stdout.

The tools work on text that they are given. They read no file of the user's and write none; `check` starts the installed
frameworks in worker processes, as the command does. Needs the official `mcp` package (the extra `mcp`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import isfinite
from typing import Final, ParamSpec, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from typing_extensions import TypedDict  # the schemas need it before Python 3.12

from optmap import __version__
from optmap.api import translate_source
from optmap.commands.common import UsageError, versioned
from optmap.commands.comparison import markdown
from optmap.commands.explain import compare, find_apis
from optmap.commands.matrix import matrix
from optmap.conformance.api import check as run_check
from optmap.conformance.results import Mode, Result
from optmap.diagnostics import Diagnostic
from optmap.mapping.framework import Framework
from optmap.mapping.frameworks import DEFAULT
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.mapping.stored import MappingError
from optmap.translate.results import CallResult

P = ParamSpec("P")
R = TypeVar("R")

_READS: Final = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


class Call(TypedDict):
    """A constructor call; line and column count from 1. `status`: translated, refused or unchanged."""

    line: int
    column: int
    source: str
    target: str | None
    status: str


class Message(TypedDict):
    """What there is to say about a line. `severity`: error, warning or info; `replacement` is code to put there by hand."""

    code: str
    severity: str
    line: int
    column: int
    message: str
    replacement: str | None


class Translation(TypedDict):
    """The translated source, which equals the given one unless `changed`; `error` says why it could not be read."""

    output: str
    changed: bool
    error: str | None
    calls: list[Call]
    messages: list[Message]


class Explanation(TypedDict):
    """A class and a counterpart side by side, as Markdown."""

    source: str
    target: str | None
    text: str


class Pair(TypedDict):
    """A class, the counterpart that is chosen at its defaults, the measured level, and what the tables predict."""

    source: str
    target: str | None
    level: str | None
    agreement: str


class Verdict(TypedDict):
    """One run of a pair. `drift` is the distance between the end points relative to the distance trained."""

    source: str
    target: str
    scenario: str
    dtype: str
    level: str | None
    expected: str | None
    verdict: str
    drift: float | None
    causes: list[str]


class Checked(TypedDict):
    """All runs of a check, and whether each is as the tables predict. `engines` are the versions of what ran, None: nothing."""

    passed: bool
    engines: dict[str, str | None]
    refused: list[str]
    results: list[Verdict]


def translate(
    source: str, to: str = DEFAULT, rewrite_step: bool = False, params: str | None = None, prefer: str = "auto"
) -> Translation:
    """Translate the optimizer calls of Python source to another framework (mindspore, torch or tensorflow).

    What is not provably right is left as it is, with a message that says why. `rewrite_step` rewrites plain training steps and
    models as well. `params` is an expression for the parameters of calls that show none. `prefer` is auto, documented or
    faithful.
    """
    result = translate_source(source, to, rewrite_step=rewrite_step, params=params, prefer=prefer)
    return Translation(
        output=result.output.decode(),
        changed=result.changed,
        error=result.error,
        calls=[_call(item) for item in result.calls],
        messages=[_message(item) for item in result.diagnostics],
    )


def explain(api: str, to: str = "") -> list[Explanation]:
    """Compare an optimizer class (torch.optim.Adam, or Adam) with its counterparts, parameter by parameter.

    `to` is the framework to compare with; a version may follow (torch==1.13). All others by default.
    """
    tables, targets = _tables(to)
    apis = find_apis(tables, api)
    pairs = [(each, target) for each in apis for target in targets if target != each.framework]
    found = [item for each, target in pairs for item in compare(tables, each, target)]
    return [
        Explanation(source=item.source.name, target=item.target.name if item.target else None, text=markdown(item))
        for item in found
    ]


def check(optimizer: str, to: str = DEFAULT, steps: int = 100) -> Checked:
    """Train a tiny model with an optimizer and with its translation, and measure how far the two drift apart.

    Takes some seconds. What is not installed here is not run; MindSpore's arithmetic needs no installation.
    """
    report = run_check([optimizer], to=to, steps=steps)
    return Checked(
        passed=report.passed,
        engines=dict(report.engines),
        refused=[f"{item.source}: {'; '.join(item.reasons)}" for item in report.refused],
        results=[_verdict(item) for item in report.results if item.mode is not Mode.FREE],
    )


def list_pairs(source: str = "", to: str = "") -> list[Pair]:
    """List the optimizer classes of a framework, or of all, with the class that each becomes in another."""
    tables, sources = _tables(source)
    _, targets = _tables(to)
    return [
        Pair(source=item.source, target=item.target, level=item.level, agreement=item.agreement)
        for item in matrix(tables, sources, targets)
    ]


def _tables(name: str) -> tuple[MappingSet, list[Framework]]:
    """The tables, and the framework that is named with its version, or all of them."""
    tables = load()
    every = tables.frameworks
    if not name:
        return tables, list(every.values())
    target, versions = versioned(name, "framework", every)
    return tables.at(versions), [target]


def _told(tool: Callable[P, R]) -> Callable[P, R]:
    """Make wrong arguments an answer of the tool."""

    @wraps(tool)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return tool(*args, **kwargs)
        except (UsageError, MappingError, ValueError) as error:
            raise ToolError(str(error)) from None

    return wrapped


def _call(item: CallResult) -> Call:
    return Call(line=item.line, column=item.column, source=item.source, target=item.target, status=str(item.status))


def _message(item: Diagnostic) -> Message:
    return Message(
        code=item.code.id, severity=str(item.severity), line=item.line, column=item.column, message=item.message,
        replacement=item.replacement,
    )  # fmt: skip


def _verdict(item: Result) -> Verdict:
    measured = item.divergence
    return Verdict(
        source=item.pair.source, target=item.pair.target, scenario=item.scenario, dtype=item.dtype,
        level=str(measured.level) if measured else None, expected=str(item.expected), verdict=str(item.verdict),
        drift=measured.drift if measured and isfinite(measured.drift) else None, causes=list(item.causes),
    )  # fmt: skip


server: Final = MCPServer(
    "optmap",
    version=__version__,
    instructions="Moves optimizers between PyTorch, TensorFlow/Keras and MindSpore, and measures whether they still agree.",
)
server.tool("translate", annotations=_READS)(_told(translate))
server.tool("explain", annotations=_READS)(_told(explain))
server.tool("check", annotations=_READS)(_told(check))
server.tool("list", annotations=_READS)(_told(list_pairs))


def run() -> int:
    """Serve the program that started the process until it ends the connection. Returns the exit code."""
    server.run()
    return 0
