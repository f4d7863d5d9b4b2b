"""A pytest plugin with which a project gates its own optimizer calls: a marker for tests, and files that list calls.

    @pytest.mark.optmap("torch.optim.AdamW(lr=1e-3)", to="mindspore")
    def test_training(): ...

The marked test fails before it runs if the call and its translation do not train as optmap's tables predict. A file named
`*.optmap` holds one call a line, `torch.optim.AdamW(lr=1e-3) -> mindspore`, and each line is a test. A test whose frameworks
are not installed is skipped with the reason, or fails if `optmap_missing = fail` is set in pytest's settings.
"""

from __future__ import annotations

import ast
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from optmap.conformance.results import Report

_MISSING: Final = "optmap_missing"
_EXPECTED: Final = "a call with named literal arguments, such as torch.optim.AdamW(lr=1e-3)"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting for frameworks that are not installed."""
    parser.addini(_MISSING, "skip or fail where a framework that an optmap test needs is not installed", default="skip")


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker."""
    config.addinivalue_line(
        "markers",
        "optmap(call, to='mindspore', fail_on='worse'): fail unless the optimizer call and its translation train alike, "
        "as optmap's tables predict; fail_on='divergent' also fails where they predict a divergence.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Check the calls that a test is marked with, then run the test."""
    for marker in pyfuncitem.iter_markers("optmap"):
        verify(*marker.args, config=pyfuncitem.config, **marker.kwargs)
    return (yield)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the files that list calls."""
    return Calls.from_parent(parent, path=file_path) if file_path.suffix == ".optmap" else None


class Calls(pytest.File):
    """A file with an optimizer call on each line; empty lines and those that begin with # are left out."""

    def collect(self) -> Iterator[pytest.Item]:
        """Make a test of each line."""
        for number, line in enumerate(self.path.read_text(encoding="utf-8-sig").splitlines(), 1):
            text = line.strip()
            if text and not text.startswith("#"):
                yield Line.from_parent(self, name=text, number=number)


class Line(pytest.Item):
    """A call, and after an arrow the framework that it is translated to."""

    def __init__(self, number: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number

    def runtest(self) -> None:
        """Check the call."""
        call, arrow, target = self.name.rpartition("->")
        given = (call, target.strip()) if arrow else (self.name,)
        verify(*given, config=self.config)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The place of the call, with a line that counts from 0."""
        return self.path, self.number - 1, self.name


def verify(call: str, to: str = "mindspore", fail_on: str = "worse", *, config: pytest.Config) -> None:
    """Fail the running test unless a call and its translation train as predicted; skip it where that cannot be told here."""
    from optmap.conformance.api import check
    from optmap.conformance.select import CheckError

    try:
        name, given = _read(call)
        report = check([name], to=to, hyperparameters=given, fail_on=fail_on)
    except CheckError as error:
        pytest.fail(f"optmap: {call.strip()}: {error}", pytrace=False)
    if not report.passed:
        missing = [f"{engine}: {reason}" for engine, reason in report.failures.items()]
        if missing and config.getini(_MISSING) != "fail":
            pytest.skip(f"optmap cannot check {call.strip()}: {'; '.join(missing)}")
        pytest.fail(_told(call, to, report), pytrace=False)


def _read(call: str) -> tuple[str, dict[str, Any]]:
    """The class and the arguments of a call given as text. Raises CheckError."""
    from optmap.conformance.select import CheckError

    try:
        node = ast.parse(call.strip(), mode="eval").body
        if isinstance(node, ast.Call) and not node.args and all(item.arg for item in node.keywords):
            return ast.unparse(node.func), {str(item.arg): ast.literal_eval(item.value) for item in node.keywords}
    except (SyntaxError, ValueError):
        pass
    raise CheckError(f"expected {_EXPECTED}")


def _told(call: str, to: str, report: Report) -> str:
    """Why a call does not pass, with the command that shows more."""
    from optmap.report.check_text import render

    return f"optmap: {call.strip()} does not train in {to} as its tables predict\n{render(report)}"
