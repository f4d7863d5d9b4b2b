"""Fixtures that every room shares, and how the tests use the machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from tests.properties import register

# Several tests run side by side, each with frameworks that would take all cores for themselves.
for name in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
):
    os.environ.setdefault(name, "1")
# A process that a test starts elsewhere runs the package that is tested, whatever else is installed.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("GLOG_v", "3")
# MindSpore hands each operation to a thread of its own; tests ask for every result, and waiting for it took most of their time.
os.environ.setdefault("MS_DEV_LAUNCH_BLOCKING", "1")
# Processes that tests start inherit what is ignored, as under nohup; the tests of signals want the usual answer.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
register()


HERE = Path(__file__).parent
LONGEST = (
    "conformance/rules/test_live_mindspore.py", "conformance/test_mutations.py", "conformance/test_schedules.py",
    "state/test_pairs.py", "conformance/test_engines.py", "translate/schedules/test_attach_and_inline.py", "test_cli.py", "translate/steps/test_seed_programs.py",
    "translate/surroundings/test_mindspore.py", "commands/test_check.py", "commands/test_audit.py",
)  # fmt: skip
"""Files that come first, so that no process is left with one of them when the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {HERE / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_sessionfinish() -> None:
    from tests.conformance.frameworks import close_sessions

    close_sessions()


@pytest.fixture(scope="session")
def tables() -> MappingSet:
    return load()


@pytest.fixture
def shared_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks in this test use the workers of the whole run, in place of starting and ending their own."""
    from tests.conformance.frameworks import lend

    monkeypatch.setattr("optmap.conformance.api.Session", lend)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An empty working directory that no settings reach."""
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    work = tmp_path / "work"
    work.mkdir()
    return work
