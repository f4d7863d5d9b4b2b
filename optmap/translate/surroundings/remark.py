"""What the rooms around the optimizer hand to each other."""

from __future__ import annotations

import ast
from typing import NamedTuple

from optmap.diagnostics import Code
from optmap.mapping.model import Api
from optmap.translate.discover.sites import CallSite


class Remark(NamedTuple):
    """A message about one place. `covers` are ids of the nodes whose own, less precise mention it replaces."""

    code: Code
    message: str
    node: ast.expr | ast.stmt
    table: str | None = None
    covers: frozenset[int] = frozenset()


class Done(NamedTuple):
    """A constructor call that was translated, and into which class."""

    site: CallSite
    target: Api
