"""What there is to say about a constructor call, as values: `check`, configurations and files each make their own of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from optmap.diagnostics import NUMERIC_DIFFERENCE, Code
from optmap.mapping.plan import Cause
from optmap.mapping.vocabulary import Need
from optmap.values import NamedTuple


class Subject(Enum):
    """What a reason is about."""

    CALL = auto()
    HIDDEN_ARGUMENTS = auto()
    COUNTERPART = auto()
    VALUE = auto()
    EXECUTION = auto()
    DEFAULT = auto()
    CHOICE = auto()
    TARGET = auto()
    DIFFERENCE = auto()
    DECAY_FILTER = auto()


SUBJECTS: Final = {"decay_filter": Subject.DECAY_FILTER}
"""The traits of update rules whose difference can be undone in the words of the very call."""


class RemedyKind(Enum):
    """Where a remedy comes from: the tables, for a value or for a difference, or another class that agrees."""

    VALUE = auto()
    DIFFERENCE = auto()
    OTHER_CLASS = auto()


_LEADS: Final = {RemedyKind.VALUE: "; ", RemedyKind.DIFFERENCE: "; to avoid it, ", RemedyKind.OTHER_CLASS: "; "}


class Remedy(NamedTuple):
    """What to do about it. The tables have code below the first line of a text."""

    kind: RemedyKind
    text: str

    @property
    def said(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def code(self) -> str | None:
        return self.text.partition("\n")[2] or None


class CallReason(NamedTuple):
    """Something to say about a call: a statement and perhaps a remedy.

    `index` is the argument that it is about, None for the whole call; `cause` the difference of the update rules. `detail` is for
    those who ask for it.
    """

    code: Code
    subject: Subject
    statement: str
    index: int | None = None  # type: ignore[assignment]
    table: str | None = None
    remedy: Remedy | None = None
    cause: Cause | None = None
    detail: str | None = None

    @property
    def message(self) -> str:
        return self.statement + (_LEADS[self.remedy.kind] + self.remedy.said if self.remedy is not None else "")

    @property
    def replacement(self) -> str | None:
        return self.remedy.code if self.remedy is not None else None

    @property
    def whole(self) -> str:
        """The message with its code, on one line."""
        return f"{self.message}: {' '.join(self.replacement.split())}" if self.replacement else self.message


def at_changing_rate(reasons: Sequence[CallReason]) -> tuple[CallReason, ...]:
    """The reasons for a call whose learning rate is known to change: what only shows then does show."""
    return tuple(
        reason._replace(code=NUMERIC_DIFFERENCE)
        if reason.cause is not None and reason.cause.diverges() and reason.cause.needs is Need.CHANGING_RATE
        else reason
        for reason in reasons
    )
