"""The update rules of all algorithms in the words of the tables: canonical hyperparameters, and traits that can be switched.

One formula serves every framework: what distinguishes torch's Adam from MindSpore's is the value of a trait. `rules` has
MindSpore's classes once more, in the order in which its kernels round.
"""

from __future__ import annotations

from typing import Final

from optmap.conformance.formulas import adafactor, adam, descent, squares
from optmap.conformance.formulas.by import Formula

FORMULAS: Final[dict[str, Formula]] = {
    **adam.FORMULAS, **descent.FORMULAS, **squares.FORMULAS, **adafactor.FORMULAS,
}  # fmt: skip
"""The formulas by the names of the tables' algorithms."""
