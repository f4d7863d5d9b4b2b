"""The engines by name. Each is a plain module with `version()` and `run(jobs)`, imported only in its own worker."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol, cast

from optmap.conformance.scenario import Job, Outcome


class Engine(Protocol):
    """What an engine's module offers."""

    def version(self) -> str:
        """The framework's version; imports the framework, which raises ImportError where it is absent."""
        ...

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Do the jobs, in order. A job that the framework rejects gives a Failure and does not stop the others."""
        ...


class EngineInfo(NamedTuple):
    """Where an engine lives, the package that it needs, and how to install that."""

    module: str
    package: str
    install: str
    in_process: bool = False


ENGINES: Final = {
    "torch": EngineInfo("optmap.conformance.engines.torch", "torch", "pip install torch"),
    "tensorflow": EngineInfo("optmap.conformance.engines.tensorflow", "tensorflow", "pip install tensorflow-cpu"),
    "mindspore": EngineInfo("optmap.conformance.engines.mindspore", "numpy", "pip install numpy", in_process=True),
    "mindspore-real": EngineInfo(
        "optmap.conformance.engines.mindspore_real", "mindspore", "pip install mindspore 'numpy<2'"
    ),
}


def load_engine(name: str) -> Engine:
    """Import an engine's module."""
    return cast(Engine, importlib.import_module(ENGINES[name].module))
