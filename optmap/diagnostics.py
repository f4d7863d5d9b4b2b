"""The catalog of diagnostics about user code: stable codes with their severity, meaning, example and remedy."""

from __future__ import annotations

from enum import StrEnum
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


class Code(NamedTuple):
    """A diagnostic code as `optmap rules` lists it; `id` (OM101) and `name` never change or change meaning."""

    id: str
    name: str
    severity: Severity
    meaning: str
    example: str
    remedy: str
    group: Group


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


def _code(
    id: str, name: str, severity: Severity, meaning: str, example: str, remedy: str, group: Group | None = None
) -> Code:
    group = group or (Group.NOTE if severity is Severity.INFO else Group.TODO)
    code = Code(id, name, severity, meaning, example, remedy, group)
    assert id not in _CODES
    _CODES[id] = code
    return code


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_DIFFERS: Final = Group.DIFFERS

# 0xx: files
UNREADABLE: Final = _code(
    "OM001", "unreadable-file", _E, "The file cannot be read or written.", "a file without read permission",
    "Check the path and its permissions.",
)  # fmt: skip
UNDECODABLE: Final = _code(
    "OM002", "undecodable-file", _E, "The file's bytes do not fit its encoding.", "Latin-1 bytes without a coding cookie",
    "Declare the encoding on one of the first two lines, or save the file as UTF-8.",
)  # fmt: skip
UNPARSABLE: Final = _code(
    "OM003", "unparsable-file", _E, "Python cannot parse the file.", "print 'hello'",
    "Make the file valid for the Python that runs optmap; Python 2 sources need converting first.",
)  # fmt: skip
UNVERIFIED: Final = _code(
    "OM004", "unverified-result", _E,
    "The rewritten file failed optmap's own checks: it parses, only the edits differ, a second run changes nothing.",
    "a bug in optmap", "The file was left unchanged. Please report the bug and attach the file.",
)  # fmt: skip

BROKEN_NOTEBOOK: Final = _code(
    "OM005", "broken-notebook", _E, "The file is named like a Jupyter notebook, but cannot be read as one.",
    "a notebook with merge conflict markers", "Repair the JSON at the position given, or open the notebook and save it again.",
)  # fmt: skip
OLD_NOTEBOOK: Final = _code(
    "OM006", "old-notebook", _E, "The notebook's format is older than nbformat 4.", '"nbformat": 3',
    "Upgrade it with `jupyter nbconvert --to notebook --inplace`, then translate it.",
)  # fmt: skip
INTERNAL_ERROR: Final = _code(
    "OM007", "internal-error", _E, "optmap itself failed on this call, or on the file where that cannot be told.",
    "a bug in optmap", "What the message names was left alone. Please report the bug and attach the file.",
)  # fmt: skip
UNKNOWN_IGNORE: Final = _code(
    "OM008", "unknown-ignored-code", _W, "An ignore comment names a code that does not exist.",
    "# optmap: ignore[OM999]", "Correct the code; `optmap rules` lists all of them.",
)  # fmt: skip
UNUSED_IGNORE: Final = _code(
    "OM009", "unused-ignore", _W, "An ignore comment names a code that is not reported on its line.",
    "opt = torch.optim.SGD(net.parameters(), 0.1)  # optmap: ignore[OM203]", "Remove the code from the comment.",
)  # fmt: skip

# 1xx: what a translation did
DEFAULT_FILLED: Final = _code(
    "OM101", "default-filled", _I, "The defaults of source and target differ, so the source's default was written out.",
    "torch.optim.Adamax(params) -> mindspore.nn.AdaMax(params, learning_rate=0.002)", "Nothing to do.",
)  # fmt: skip
EXECUTION_DROPPED: Final = _code(
    "OM102", "execution-argument-dropped", _I, "An argument that affects only execution, not the result, was dropped.",
    "torch.optim.Adam(params, fused=True)", "Nothing to do.",
)  # fmt: skip
RETARGETED: Final = _code(
    "OM103", "other-class-chosen", _I,
    "The usual counterpart cannot express the call, or would train visibly otherwise, so another class was chosen.",
    "torch.optim.AdamW -> mindspore.experimental.optim.AdamW",
    "Nothing to do; --prefer documented takes the usual class where it can express the call.",
)  # fmt: skip
API_NOTE: Final = _code(
    "OM104", "note-on-target", _I, "A note on the class that the call now constructs.",
    "mindspore.nn.LazyAdam sums duplicate rows only with optimizer.target = 'CPU'", "Read the note.",
)  # fmt: skip
DEPRECATED_TARGET: Final = _code(
    "OM105", "deprecated-target", _I, "The class that the call now constructs is deprecated.",
    "mindspore.nn.AdamWeightDecay", "Use the class that the message names.",
)  # fmt: skip
VERSION_TOLD: Final = _code(
    "OM106", "version-told", _I, "An argument that only older versions accept tells for which version the file is.",
    "tf.keras.optimizers.Adam(lr=1e-3)", "Pass --from keras==VERSION if the file is for another version.",
)  # fmt: skip
SMALL_DIFFERENCE: Final = _code(
    "OM110", "small-numeric-difference", _I,
    "The two update rules differ in a way that is small for usual hyperparameters and gradients.",
    "torch.optim.Adam -> mindspore.nn.Adam (where epsilon is added)",
    "`optmap check` measures it; --prefer faithful avoids it where a class agrees.", _DIFFERS,
)  # fmt: skip
NUMERIC_DIFFERENCE: Final = _code(
    "OM111", "numeric-difference", _W, "The two update rules differ, and training will differ visibly.",
    "torch.optim.AdamW -> mindspore.nn.AdamWeightDecay (no bias correction), with --prefer documented",
    "Use the class that the message names, or follow the message's advice.", _DIFFERS,
)  # fmt: skip
PARAMETERS_KEPT: Final = _code(
    "OM112", "parameters-passed-through", _W,
    "The parameters argument was left as written, because the call does not show what it holds.",
    "torch.optim.Adam(params)", "Make sure that it holds the target framework's parameters, such as model.trainable_params().",
)  # fmt: skip

NAMES_DIFFER: Final = _code(
    "OM113", "parameter-names-differ", _W, "Parameters are selected by name, and the frameworks name them differently.",
    "[p for n, p in net.named_parameters() if 'bias' not in n]",
    "Check the condition. MindSpore names the scale and shift of normalization layers gamma and beta.", _DIFFERS,
)  # fmt: skip
NAMES_CLASH: Final = _code(
    "OM114", "parameter-names-clash", _W,
    "One optimizer gets the parameters of several models. MindSpore requires their names to be unique.",
    "torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])",
    "Rename them with update_parameters_name, or make the models members of one Cell.",
)  # fmt: skip

# 2xx: calls left untouched
UNSUPPORTED_ARGUMENT: Final = _code(
    "OM201", "unsupported-argument", _E, "No class of the target framework can express an argument of the call.",
    "tf.keras.optimizers.Adam(clipnorm=1.0)", "Follow the message's advice, then remove the argument.",
)  # fmt: skip
INVALID_CALL: Final = _code(
    "OM202", "invalid-call", _E, "The source framework itself would reject the call.",
    "torch.optim.Adam(params, learning_rate=0.1)", "Correct the call, or choose the version that it was written for.",
)  # fmt: skip
UNPACKED_ARGUMENTS: Final = _code(
    "OM203", "unpacked-arguments", _E, "`*args` or `**kwargs` hide which arguments the call has.",
    "torch.optim.Adam(params, **options)", "Write the arguments out.",
)  # fmt: skip
NO_PARAMETERS: Final = _code(
    "OM204", "parameters-unknown", _E, "The target's constructor needs the parameters, and the file does not show them.",
    "opt = tf.keras.optimizers.Adam()", "Pass --params 'model.trainable_params()', or use the optimizer in the same file.",
)  # fmt: skip
SCHEDULE_ARGUMENT: Final = _code(
    "OM205", "learning-rate-object", _E, "The learning rate is a schedule, a variable or a tensor of the source framework.",
    "tf.keras.optimizers.SGD(tf.keras.optimizers.schedules.ExponentialDecay(...))",
    "Replace it by a number or by a schedule of the target framework.",
)  # fmt: skip
GROUP_KEY: Final = _code(
    "OM206", "unsupported-group-key", _E, "A parameter group sets an option that the target cannot set per group.",
    "[{'params': p, 'betas': (0.8, 0.9)}]", "Set the option for all groups, or use one optimizer per group.",
)  # fmt: skip
INSEPARABLE_VALUE: Final = _code(
    "OM207", "inseparable-value", _E, "Splitting a value into several arguments would evaluate its expression twice.",
    "betas=get_betas()", "Bind the value to a name first, then pass the name.",
)  # fmt: skip
NO_COUNTERPART: Final = _code(
    "OM208", "no-counterpart", _E, "The tables have no class of the target framework for this optimizer.",
    "torch.optim.LBFGS", "See `optmap list`. Keep the source optimizer, or write the update by hand.",
)  # fmt: skip
UNKNOWN_OPTIMIZER: Final = _code(
    "OM209", "unknown-optimizer", _E, "The name belongs to an optimizer module, but the tables do not describe it.",
    "torch.optim.Lion", "Check the spelling, or add a table with --mappings.",
)  # fmt: skip
AMBIGUOUS_NAME: Final = _code(
    "OM210", "ambiguous-name", _E, "The name has several bindings, and which one is used here cannot be proved.",
    "from torch.optim import AdamW ... except ImportError: from other import AdamW", "Use different names.",
)  # fmt: skip
MISSING_IMPORT: Final = _code(
    "OM211", "missing-import", _W, "The expression looks like an optimizer, but the file does not bind its first name.",
    "torch.optim.Adam(...) without `import torch`", "Add the import.",
)  # fmt: skip
NAME_TAKEN: Final = _code(
    "OM212", "target-name-taken", _E, "The file binds a name that the target needs to something else.",
    "mindspore = None", "Rename the binding.",
)  # fmt: skip
UNEDITABLE: Final = _code(
    "OM213", "uneditable-place", _E, "The call is in a place where source text cannot be edited safely.",
    "a call inside an f-string", "Move the call out of the string.",
)  # fmt: skip
UNSAFE_VALUE: Final = _code(
    "OM214", "value-rejected-by-target", _E, "The target's constructor rejects this value.",
    "mindspore.nn.Adam(beta1=0.0)", "Choose a value in the range that the message gives.",
)  # fmt: skip
FOREIGN_OPTIMIZER: Final = _code(
    "OM215", "foreign-optimizer", _E, "The optimizer is one of another package, which the tables do not describe.",
    "apex.optimizers.FusedAdam(net.parameters())",
    "Use the framework's own class, as the message says, or add a table with --mappings.",
)  # fmt: skip
UNMEASURED: Final = _code(
    "OM220", "unmeasured-class", _W,
    "The class that the call now constructs does not run on every machine, so `optmap check` has not measured it.",
    "mindspore.mint.optim.AdamW, which needs an Ascend device", "Compare a few steps on a machine that can run the class.",
    _DIFFERS,
)  # fmt: skip
PARAMETERS_ELSEWHERE: Final = _code(
    "OM221", "parameters-elsewhere", _I,
    "The target's constructor takes no parameters; the training step passes gradients and variables instead.",
    "torch.optim.Adam(model.parameters()) -> tf.keras.optimizers.Adam()",
    "Make sure that the training step applies the gradients of the same model.",
)  # fmt: skip
PARAMETERS_PICKED: Final = _code(
    "OM222", "some-parameters-elsewhere", _W,
    "The constructor is given some of the parameters; the target's takes none, so the training step decides which are trained.",
    "torch.optim.Adam(model.head.parameters()) -> tf.keras.optimizers.Adam()",
    "Pass only those variables to apply_gradients, or set trainable = False on the others.",
)  # fmt: skip
NAME_ATTRIBUTE: Final = _code(
    "OM223", "parameter-name-attribute", _E, "Parameters are selected by an attribute that the target's parameters lack.",
    "mindspore.nn.Adam([p for p in net.trainable_params() if 'bias' in p.name])",
    "Select them by name: [p for name, p in net.named_parameters() if 'bias' in name].",
)  # fmt: skip
HIDDEN_GROUPS: Final = _code(
    "OM225", "untraceable-groups", _E,
    "Parameter groups are built in a variable or function, and not all of its uses could be traced.",
    "groups = [{'params': p, 'lr': 0.1}]; register(groups); torch.optim.SGD(groups)",
    "Write the groups at the call, or use the variable only for optimizers that are translated.",
)  # fmt: skip
UNFROZEN_LATER: Final = _code(
    "OM226", "trained-parameters-change", _E,
    "The file changes which parameters are trained before and after an optimizer is constructed, whose target holds those that "
    "are trainable when it is constructed.",
    "for p in net.body.parameters(): p.requires_grad = False", "Construct another optimizer where the parameters change.",
)  # fmt: skip
FROZEN_LATER: Final = _code(
    "OM227", "frozen-after-construction", _W,
    "The file changes which parameters are trained after the optimizer is constructed: in the target that changes nothing.",
    "opt = torch.optim.SGD(net.parameters(), 0.1); net.body.requires_grad_(False)",
    "Construct another optimizer where the parameters change.",
)  # fmt: skip

# 30x and 31x: references that are not constructor calls, and learning-rate schedules
ALIAS: Final = _code(
    "OM301", "optimizer-alias", _W, "The class is bound to another name or stored; its uses were not translated.",
    "OPTIMIZERS = {'adam': torch.optim.Adam}", "Translate the uses by hand.",
)  # fmt: skip
TYPE_CHECK: Final = _code(
    "OM302", "optimizer-type-check", _W, "isinstance or issubclass with a source class is false for the translated optimizer.",
    "isinstance(opt, torch.optim.SGD)", "Name the target class as well.",
)  # fmt: skip
ANNOTATION: Final = _code(
    "OM303", "optimizer-annotation", _W, "An annotation names a source class.", "def f(opt: torch.optim.Optimizer)",
    "Name the target class.",
)  # fmt: skip
SUBCLASS: Final = _code(
    "OM304", "optimizer-subclass", _W, "A class derives from a source optimizer.", "class MyAdam(torch.optim.Adam)",
    "Derive from the target class and port the overridden methods.",
)  # fmt: skip
PARTIAL: Final = _code(
    "OM305", "optimizer-partial", _W, "functools.partial holds a source class; the partial was not translated.",
    "functools.partial(torch.optim.Adam, lr=1e-3)", "Translate the partial by hand.",
)  # fmt: skip
DYNAMIC: Final = _code(
    "OM306", "dynamic-lookup", _W, "An optimizer is looked up by name at run time.", "getattr(torch.optim, name)",
    "Look it up in the target's module, and translate the arguments.",
)  # fmt: skip
DOTTED_STRING: Final = _code(
    "OM307", "optimizer-in-string", _W, "A string names a source class.", "'torch.optim.Adam'",
    "Name the target class.",
)  # fmt: skip
DEFAULT_ARGUMENT: Final = _code(
    "OM308", "optimizer-as-default", _W, "A source class is the default of a function's parameter.",
    "def fit(model, optimizer=torch.optim.Adam)", "Make the target class the default, and translate the call inside.",
)  # fmt: skip
OTHER_MENTION: Final = _code(
    "OM309", "optimizer-mention", _W, "A member of an optimizer module is used in a way that optmap does not translate.",
    "torch.optim.Optimizer", "Translate it by hand.",
)  # fmt: skip
SCHEDULER: Final = _code(
    "OM310", "learning-rate-schedule", _W, "A learning-rate schedule of the source framework is used.",
    "torch.optim.lr_scheduler.StepLR(optimizer, 30)", "Use a schedule of the target framework.",
)  # fmt: skip
ARGUMENT: Final = _code(
    "OM311", "optimizer-as-argument", _W, "A source class is passed to a function.", "build(model, torch.optim.Adam)",
    "Pass the target class, and translate the call that it ends in.",
)  # fmt: skip
SCHEDULE_REFUSED: Final = _code(
    "OM312", "schedule-not-translated", _E, "A learning-rate schedule of a translated optimizer cannot be translated.",
    "torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 1000)", "Replace it with the code that the message shows.",
)  # fmt: skip
SCHEDULE_FUNCTION: Final = _code(
    "OM313", "schedule-function", _W, "MindSpore calls a schedule's function with a float32 tensor, not with an int.",
    "LambdaLR(optimizer, lambda epoch: rates[epoch])", "Convert the argument inside the function: int(epoch).",
)  # fmt: skip
SCHEDULE_MEMBER: Final = _code(
    "OM314", "schedule-member", _W, "The target's schedule lacks a member that the file uses.", "scheduler.state_dict()",
    "Follow the message's advice.",
)  # fmt: skip
SCHEDULE_STEPS: Final = _code(
    "OM315", "schedule-steps", _W, "A schedule that was the learning rate is now attached to the optimizer and must be stepped.",
    "tf.keras.optimizers.SGD(tf.keras.optimizers.schedules.ExponentialDecay(...))",
    "Call the schedule's step() after every step of the optimizer.",
)  # fmt: skip
SCHEDULE_PASSED: Final = _code(
    "OM316", "schedule-passed", _W, "A schedule that was attached is now the learning rate; calls of its step() were removed.",
    "torch.optim.lr_scheduler.StepLR(optimizer, 30)",
    "Make sure that the optimizer makes as many steps per epoch as the message says.", _DIFFERS,
)  # fmt: skip

# 32x and 33x: code around an optimizer
GRADIENT_CLIPPING: Final = _code(
    "OM320", "gradient-clipping", _W, "Gradients are clipped by a function of the source framework.",
    "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)", "Clip as the message says, in the training step.",
)  # fmt: skip
LOSS_SCALING: Final = _code(
    "OM321", "loss-scaling", _W, "The loss is scaled by a class of the source framework.",
    "scaler = torch.amp.GradScaler()", "Use the target's scaler, as the message says.",
)  # fmt: skip
WEIGHT_AVERAGING: Final = _code(
    "OM322", "weight-averaging", _W, "The weights are averaged by a class of the source framework.",
    "torch.optim.swa_utils.AveragedModel(model)", "Average the weights as the message says.",
)  # fmt: skip
OPTIMIZER_BY_NAME: Final = _code(
    "OM323", "optimizer-by-name", _W, "A string names an optimizer, which gets the source framework's defaults.",
    'model.compile(optimizer="adam")', "Pass the constructor call that the message shows.",
)  # fmt: skip
CONFIGURED_OPTIMIZER: Final = _code(
    "OM324", "optimizer-in-configuration", _W, "A configuration file names an optimizer; the file is never changed.",
    "optimizer: {type: AdamW, lr: 0.001}", "Use the constructor call that the message shows.",
)  # fmt: skip
CONFIGURED_UNKNOWN: Final = _code(
    "OM325", "unclear-optimizer-in-configuration", _W,
    "A configuration file names an optimizer, but its class is not clear, or the class does not accept the arguments.",
    "optimizer: Adam", "Choose a framework with --from, name the class in full, or follow the message's advice.",
)  # fmt: skip
OPTIMIZER_STATE: Final = _code(
    "OM330", "optimizer-state", _W, "The state of an optimizer is saved, loaded or read; it cannot be transferred to the target.",
    "optimizer.load_state_dict(checkpoint['optimizer'])", "Save and load the target optimizer's own state, which starts empty.",
)  # fmt: skip
LEARNING_RATE_ACCESS: Final = _code(
    "OM331", "learning-rate-access", _W, "The learning rate is read or set through the source framework's optimizer.",
    "optimizer.param_groups[0]['lr'] = 0.01", "Use the code that the message shows.",
)  # fmt: skip
OPTIMIZER_INTERNALS: Final = _code(
    "OM332", "optimizer-internals", _W, "An attribute of the optimizer is used that the target's optimizer lacks.",
    "optimizer.iterations", "Use the code that the message shows.",
)  # fmt: skip
UNKNOWN_USE: Final = _code(
    "OM333", "unknown-use", _W, "An attribute of a translated optimizer is set or read that no table describes.",
    "optimizer.global_clipnorm = 0.1", "Give the value to the constructor, where it is translated, or port the line by hand.",
)  # fmt: skip
FOREIGN_PACKAGE: Final = _code(
    "OM334", "foreign-package", _W, "Another package takes the source framework's optimizers, or changes what they do.",
    "transformers.get_linear_schedule_with_warmup(optimizer, 100, 1000)", "Follow the message's advice.",
)  # fmt: skip
MIXED_PRECISION: Final = _code(
    "OM335", "mixed-precision", _W, "The source framework computes in a lower precision, which may scale the loss as well.",
    "tf.keras.mixed_precision.set_global_policy('mixed_float16')", "Set the target's precision, as the message says.",
)  # fmt: skip


# 40x: the training step
STEP: Final = _code(
    "OM401", "training-step", _W, "A training step still uses the source framework; the message shows its replacement.",
    "optimizer.zero_grad(); loss.backward(); optimizer.step()", "Run with --rewrite-step, or use the code in the message.",
)  # fmt: skip
STEP_NOT_PLAIN: Final = _code(
    "OM402", "step-not-plain", _W, "--rewrite-step left a training step unchanged, because it cannot prove what the step does.",
    "loss.backward(retain_graph=True)", "Use the code that the message shows, with the stated reason in mind.",
)  # fmt: skip
STEP_REWRITTEN: Final = _code(
    "OM403", "step-rewritten", _I, "A training step was rewritten.", "loss, grads = grad_fn(x, y); optimizer(grads)",
    "Nothing to do.",
)  # fmt: skip
REMAINS: Final = _code(
    "OM404", "source-framework-remains", _W,
    "--rewrite-step translated the names in its table; other uses of the source framework remain.",
    "torch.utils.data.DataLoader", "Translate them by hand.",
)  # fmt: skip
NAME_NOTE: Final = _code(
    "OM405", "note-on-name", _I, "A note on a layer, loss or function that --rewrite-step translated.",
    "torch.nn.Linear -> mindspore.nn.Dense (other initial values for the same seed)", "Read the note.",
)  # fmt: skip
NAME_DIFFERS: Final = _code(
    "OM406", "name-differs", _W, "What --rewrite-step translated may compute something else for some values.",
    "torch.nn.LeakyReLU -> mindspore.nn.LeakyReLU (another gradient at exactly 0)", "See whether such values can occur.",
    _DIFFERS,
)  # fmt: skip
UNFOLLOWED_STEP: Final = _code(
    "OM408", "unfollowed-step", _W,
    "This file steps an optimizer that optmap did not follow, so that its step is not translated.",
    "holder.optimizer.step()", "Rewrite the step as the message says, or assign the optimizer to a variable of its own.",
)  # fmt: skip
MODE_DIFFERS: Final = _code(
    "OM409", "model-mode", _W,
    "A model trains in inference mode in the source framework, and in training mode in the target.",
    "net = Net(); grad_fn = mindspore.value_and_grad(forward_fn, None, opt.parameters)  # no set_train()",
    "Put the model into the mode that you mean: it matters for dropout and batch normalization.", _DIFFERS,
)  # fmt: skip

# 41x: where translated code meets what is still of the source framework
STILL_SOURCE: Final = _code(
    "OM410", "still-of-the-source", _W,
    "The optimizer is translated; models, losses or data that it is used with are still of the source framework.",
    "model = torch.nn.Linear(2, 3); optimizer = mindspore.nn.Adam(model.trainable_params())",
    "Translate them, too; --rewrite-step does so for models and losses that its table knows, together with their steps.",
)  # fmt: skip
TARGET_EXPECTED: Final = _code(
    "OM411", "target-expected", _I, "The file does not show of which framework a value is that must be the target's.",
    "def build(net): return mindspore.nn.Adam(net.trainable_params())", "Make sure that it is the target framework's.",
    Group.TODO,
)  # fmt: skip
SOURCE_CONTEXT: Final = _code(
    "OM412", "context-of-the-source", _W, "Translated code stands under a context or decorator of the source framework.",
    "with tf.device('/gpu:0'): optimizer = torch.optim.Adam(model.parameters())",
    "Take the context away, or write what the target has for it.",
)  # fmt: skip
GIVEN_AWAY: Final = _code(
    "OM413", "optimizer-given-away", _W,
    "A translated optimizer is passed to code outside the file that was written for the source framework's.",
    "accelerator.prepare(model, optimizer)", "Pass it to what takes the target's optimizers.",
)  # fmt: skip

PARAMS_UNBOUND: Final = _code(
    "OM414", "params-not-bound", _W, "The expression of --params names what the file does not bind where it is written.",
    "--params 'net.trainable_params()' for a file that calls its model `model`", "Name the file's own model.",
)  # fmt: skip

# 44x: configuration files
BROKEN_CONFIGURATION: Final = _code(
    "OM440", "broken-configuration", _E, "A configuration file named on the command line cannot be parsed.",
    "a .json file with a missing comma", "Correct the file at the position that the message gives.",
)  # fmt: skip

# 51x: cells of notebooks
BROKEN_CELL: Final = _code(
    "OM510", "unparsable-cell", _E, "A notebook cell that seems to construct an optimizer cannot be parsed.",
    "print 'hello'; opt = optim.SGD(net.parameters(), lr=0.1)",
    "Make the cell valid for the Python that runs optmap; the other cells were translated.",
)  # fmt: skip
SKIPPED_CELL: Final = _code(
    "OM511", "cell-not-read", _I, "A notebook cell without any sign of an optimizer cannot be parsed.",
    "print 'hello'", "Nothing to do, unless the cell binds names that the translated cells use.",
)  # fmt: skip
FOREIGN_CELL: Final = _code(
    "OM512", "optimizer-in-magic-cell", _W, "A cell magic whose body is not run as the notebook's Python mentions optimizers.",
    "%%writefile train.py", "Translate the file that the magic writes, or translate the body by hand.",
)  # fmt: skip

CODES: Final = dict(_CODES)


def codes_named(text: str) -> frozenset[str]:
    """The ids of the codes that a text stands for: a code, the beginning of some (OM4), or a name; empty for anything else."""
    wanted = text.strip()
    if found := frozenset(code.id for code in CODES.values() if code.name == wanted.lower()):
        return found
    beginning = wanted.upper()
    return frozenset(id for id in CODES if len(beginning) > 2 and id.startswith(beginning))
