"""What became of the training steps of a file."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from optmap.source.changes import Change
from optmap.translate.constructors.spelling import NewImport
from optmap.translate.findings import Finding
from optmap.values import NamedTuple


class StepOutcome(NamedTuple):
    """What is reported of the steps, and how they change. `gone` are references to the source framework that go away.

    `settled` are calls that other passes have findings for, and that a rewritten step made obsolete. `bridged` are the ids of
    names that a conversion gives the target's tensors.
    """

    findings: Sequence[Finding]
    changes: Sequence[Change] = ()
    needed: Sequence[NewImport] = ()
    gone: Sequence[ast.expr] = ()
    settled: Sequence[ast.expr] = ()
    bridged: frozenset[int] = frozenset()
