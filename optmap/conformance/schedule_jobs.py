"""What a worker is asked about a schedule, and how that travels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class ScheduleJob(NamedTuple):
    """A schedule to be followed for some steps of its optimizer.

    Attributes:
        api: full name of the schedule.
        arguments: its arguments by name, without the optimizer and the step.
        steps: number of steps of the optimizer.
        learning_rate: the optimizer's own rate, where the schedule is attached to it.
        steps_per_epoch: steps between two calls of an attached schedule's step().
        formula: its function is text that optmap itself has written; text of a user's file is never run.
    """

    api: str
    arguments: Mapping[str, Any]
    steps: int
    learning_rate: float = 0.1
    steps_per_epoch: int = 1
    formula: bool = False


class Rates(NamedTuple):
    """The learning rate of each step, or why there is none."""

    values: tuple[float, ...] = ()
    failure: str | None = None


def job_message(jobs: Sequence[ScheduleJob]) -> dict[str, Any]:
    """Jobs as a message for a worker."""
    return {"rates": [job._asdict() for job in jobs]}


def read_jobs(message: Mapping[str, Any]) -> list[ScheduleJob]:
    """The jobs of a message."""
    return [ScheduleJob(**row) for row in message["rates"]]
