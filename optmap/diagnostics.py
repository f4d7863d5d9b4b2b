"""The catalog of diagnostics about user code: stable codes with their severity; `diagnostics.toml` has their texts."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Final

from optmap.values import NamedTuple


class Severity(StrEnum):
    """How serious a diagnostic is. An error means that something was not translated or not read."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


WORDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
"""What people read for each severity."""


class Group(StrEnum):
    """What a diagnostic asks of the reader."""

    TODO = "to do by hand"
    DIFFERS = "behaves differently"
    NOTE = "notes"


class Texts(NamedTuple):
    """What `optmap rules` says of a code."""

    meaning: str
    example: str
    remedy: str


class Code(NamedTuple):
    """A diagnostic code; `id` (OM101) and `name` never change or change meaning."""

    id: str
    name: str
    severity: Severity
    group: Group

    @property
    def texts(self) -> Texts:
        """What it means, with an example and what to do."""
        return all_texts()[self.id]


class Diagnostic(NamedTuple):
    """One message about one position in a file. Lines and columns count from 1, columns in characters.

    `table` is the position in the mapping tables that the message is derived from, as `file:line:column`. In a notebook
    `cell` is the number of the cell, from 1, and `line` counts within the cell. `replacement` is code that takes the place of
    what the message is about. `detail` is what `--verbose` adds. The end is that of the place, `source` the text of its
    first line.
    """

    code: Code
    message: str
    line: int
    column: int
    table: str | None = None
    cell: int | None = None
    replacement: str | None = None
    detail: str | None = None
    end_line: int | None = None
    end_column: int | None = None
    source: str | None = None

    def __str__(self) -> str:
        code = f"\n{indent(self.replacement, '    ')}" if self.replacement else ""
        return f"{self.place}: {WORDS[self.severity]} {self.code.id} {self.message}{code}"

    @property
    def severity(self) -> Severity:
        return self.code.severity

    @property
    def place(self) -> str:
        """The position, as it follows the name of the file."""
        return f"{'' if self.cell is None else f'cell {self.cell}:'}{self.line}:{self.column}"


_CODES: dict[str, Code] = {}


def _code(id: str, name: str, severity: Severity, group: Group | None = None) -> Code:
    group = group or (Group.NOTE if severity is Severity.INFO else Group.TODO)
    code = Code(id, name, severity, group)
    assert id not in _CODES
    _CODES[id] = code
    return code


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_DIFFERS: Final = Group.DIFFERS

# 0xx: files
UNREADABLE: Final = _code("OM001", "unreadable-file", _E)
UNDECODABLE: Final = _code("OM002", "undecodable-file", _E)
UNPARSABLE: Final = _code("OM003", "unparsable-file", _E)
UNVERIFIED: Final = _code("OM004", "unverified-result", _E)
BROKEN_NOTEBOOK: Final = _code("OM005", "broken-notebook", _E)
OLD_NOTEBOOK: Final = _code("OM006", "old-notebook", _E)
INTERNAL_ERROR: Final = _code("OM007", "internal-error", _E)
UNKNOWN_IGNORE: Final = _code("OM008", "unknown-ignored-code", _W)
UNUSED_IGNORE: Final = _code("OM009", "unused-ignore", _W)
COMMENTS: Final = frozenset((UNKNOWN_IGNORE, UNUSED_IGNORE))
"""What is the matter with optmap's own comments: nothing that keeps a result from running."""

# 1xx: what a translation did
DEFAULT_FILLED: Final = _code("OM101", "default-filled", _I)
EXECUTION_DROPPED: Final = _code("OM102", "execution-argument-dropped", _I)
RETARGETED: Final = _code("OM103", "other-class-chosen", _I)
API_NOTE: Final = _code("OM104", "note-on-target", _I)
DEPRECATED_TARGET: Final = _code("OM105", "deprecated-target", _I)
VERSION_TOLD: Final = _code("OM106", "version-told", _I)
SMALL_DIFFERENCE: Final = _code("OM110", "small-numeric-difference", _I, _DIFFERS)
NUMERIC_DIFFERENCE: Final = _code("OM111", "numeric-difference", _W, _DIFFERS)
PARAMETERS_KEPT: Final = _code("OM112", "parameters-passed-through", _W)
NAMES_DIFFER: Final = _code("OM113", "parameter-names-differ", _W, _DIFFERS)
NAMES_CLASH: Final = _code("OM114", "parameter-names-clash", _W)

# 2xx: calls left untouched
UNSUPPORTED_ARGUMENT: Final = _code("OM201", "unsupported-argument", _E)
INVALID_CALL: Final = _code("OM202", "invalid-call", _E)
UNPACKED_ARGUMENTS: Final = _code("OM203", "unpacked-arguments", _E)
NO_PARAMETERS: Final = _code("OM204", "parameters-unknown", _E)
SCHEDULE_ARGUMENT: Final = _code("OM205", "learning-rate-object", _E)
GROUP_KEY: Final = _code("OM206", "unsupported-group-key", _E)
INSEPARABLE_VALUE: Final = _code("OM207", "inseparable-value", _E)
NO_COUNTERPART: Final = _code("OM208", "no-counterpart", _E)
UNKNOWN_OPTIMIZER: Final = _code("OM209", "unknown-optimizer", _E)
AMBIGUOUS_NAME: Final = _code("OM210", "ambiguous-name", _E)
MISSING_IMPORT: Final = _code("OM211", "missing-import", _W)
NAME_TAKEN: Final = _code("OM212", "target-name-taken", _E)
UNEDITABLE: Final = _code("OM213", "uneditable-place", _E)
UNSAFE_VALUE: Final = _code("OM214", "value-rejected-by-target", _E)
FOREIGN_OPTIMIZER: Final = _code("OM215", "foreign-optimizer", _E)
UNMEASURED: Final = _code("OM220", "unmeasured-class", _W, _DIFFERS)
PARAMETERS_ELSEWHERE: Final = _code("OM221", "parameters-elsewhere", _I)
PARAMETERS_PICKED: Final = _code("OM222", "some-parameters-elsewhere", _W)
NAME_ATTRIBUTE: Final = _code("OM223", "parameter-name-attribute", _E)
HIDDEN_GROUPS: Final = _code("OM225", "untraceable-groups", _E)
UNFROZEN_LATER: Final = _code("OM226", "trained-parameters-change", _E)
FROZEN_LATER: Final = _code("OM227", "frozen-after-construction", _W)

# 30x and 31x: references that are not constructor calls, and learning-rate schedules
ALIAS: Final = _code("OM301", "optimizer-alias", _W)
TYPE_CHECK: Final = _code("OM302", "optimizer-type-check", _W)
ANNOTATION: Final = _code("OM303", "optimizer-annotation", _W)
SUBCLASS: Final = _code("OM304", "optimizer-subclass", _W)
PARTIAL: Final = _code("OM305", "optimizer-partial", _W)
DYNAMIC: Final = _code("OM306", "dynamic-lookup", _W)
DOTTED_STRING: Final = _code("OM307", "optimizer-in-string", _W)
DEFAULT_ARGUMENT: Final = _code("OM308", "optimizer-as-default", _W)
OTHER_MENTION: Final = _code("OM309", "optimizer-mention", _W)
SCHEDULER: Final = _code("OM310", "learning-rate-schedule", _W)
ARGUMENT: Final = _code("OM311", "optimizer-as-argument", _W)
SCHEDULE_REFUSED: Final = _code("OM312", "schedule-not-translated", _E)
SCHEDULE_FUNCTION: Final = _code("OM313", "schedule-function", _W)
SCHEDULE_MEMBER: Final = _code("OM314", "schedule-member", _W)
SCHEDULE_STEPS: Final = _code("OM315", "schedule-steps", _W)
SCHEDULE_PASSED: Final = _code("OM316", "schedule-passed", _W, _DIFFERS)

# 32x and 33x: code around an optimizer
GRADIENT_CLIPPING: Final = _code("OM320", "gradient-clipping", _W)
LOSS_SCALING: Final = _code("OM321", "loss-scaling", _W)
WEIGHT_AVERAGING: Final = _code("OM322", "weight-averaging", _W)
OPTIMIZER_BY_NAME: Final = _code("OM323", "optimizer-by-name", _W)
CONFIGURED_OPTIMIZER: Final = _code("OM324", "optimizer-in-configuration", _W)
CONFIGURED_UNKNOWN: Final = _code("OM325", "unclear-optimizer-in-configuration", _W)
OPTIMIZER_STATE: Final = _code("OM330", "optimizer-state", _W)
LEARNING_RATE_ACCESS: Final = _code("OM331", "learning-rate-access", _W)
OPTIMIZER_INTERNALS: Final = _code("OM332", "optimizer-internals", _W)
UNKNOWN_USE: Final = _code("OM333", "unknown-use", _W)
FOREIGN_PACKAGE: Final = _code("OM334", "foreign-package", _W)
MIXED_PRECISION: Final = _code("OM335", "mixed-precision", _W)


# 40x: the training step
STEP: Final = _code("OM401", "training-step", _W)
STEP_NOT_PLAIN: Final = _code("OM402", "step-not-plain", _W)
STEP_REWRITTEN: Final = _code("OM403", "step-rewritten", _I)
REMAINS: Final = _code("OM404", "source-framework-remains", _W)
NAME_NOTE: Final = _code("OM405", "note-on-name", _I)
NAME_DIFFERS: Final = _code("OM406", "name-differs", _W, _DIFFERS)
UNFOLLOWED_STEP: Final = _code("OM408", "unfollowed-step", _W)
MODE_DIFFERS: Final = _code("OM409", "model-mode", _W, _DIFFERS)

# 41x: where translated code meets what is still of the source framework
STILL_SOURCE: Final = _code("OM410", "still-of-the-source", _W)
TARGET_EXPECTED: Final = _code("OM411", "target-expected", _I, Group.TODO)
SOURCE_CONTEXT: Final = _code("OM412", "context-of-the-source", _W)
GIVEN_AWAY: Final = _code("OM413", "optimizer-given-away", _W)
PARAMS_UNBOUND: Final = _code("OM414", "params-not-bound", _W)
COMPILED: Final = _code("OM415", "no-longer-compiled", _W, _DIFFERS)
FREEZES_NOTHING: Final = _code("OM416", "freezes-nothing", _W)

# 44x: configuration files
BROKEN_CONFIGURATION: Final = _code("OM440", "broken-configuration", _E)

# 51x: cells of notebooks
BROKEN_CELL: Final = _code("OM510", "unparsable-cell", _E)
SKIPPED_CELL: Final = _code("OM511", "cell-not-read", _I)
FOREIGN_CELL: Final = _code("OM512", "optimizer-in-magic-cell", _W)

CODES: Final = dict(_CODES)


@cache
def all_texts() -> dict[str, Texts]:
    """The texts of all codes, read from the file beside this one: few runs need any."""
    import tomllib

    content = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return {id: Texts(**texts) for id, texts in tomllib.loads(content).items()}


def codes_named(text: str) -> frozenset[str]:
    """The ids of the codes that a text stands for: a code, the beginning of some (OM4), or a name; empty for anything else."""
    wanted = text.strip()
    if found := frozenset(code.id for code in CODES.values() if code.name == wanted.lower()):
        return found
    beginning = wanted.upper()
    return frozenset(id for id in CODES if len(beginning) > 2 and id.startswith(beginning))
