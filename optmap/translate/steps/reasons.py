"""Why a training step is not plain: values with a kind, which become English here and nowhere else."""

from __future__ import annotations

from enum import Enum
from typing import Final

from optmap.values import NamedTuple


class Why(Enum):
    """A reason; its value is the clause that says it, with what is filled in."""

    # Who holds the optimizer
    BOUND_OTHERWISE = "{name} is bound to other things as well"
    SEVERAL_RETURNS = "{function} returns in several places"
    PARAMETER_BOUND = "{name} is bound again in {function}"
    NOT_CALLED = "{function} is used without being called"
    OTHER_ARGUMENT = "{function} is called with another optimizer on line {line}"
    NO_STEP = "no step of it is seen in this file"
    # The statement that makes the update
    SCALER_STEPS = "a gradient scaler makes the step"
    CLOSURE = "the step is given a closure"
    RESULT_USED = "the step's result is used"
    APPLIED_USED = "the result of apply_gradients is used"
    UPDATE_USED = "the result of the update is used"
    IN_LAMBDA_OR_CLASS = "the step stands in a lambda or directly in a class"
    IN_LAMBDA_ASYNC_OR_CLASS = "the step stands in a lambda, an async function, or directly in a class"
    # Clearing
    CLEARING_ARGUMENTS = "zero_grad on line {line} has arguments that are not constants"
    CLEARED_ELSEWHERE = "the gradients are cleared elsewhere (line {line}) and may add up over several steps"
    NEVER_CLEARED = "nothing clears the gradients beside the step: they add up"
    CLEARED_BEFORE_STEP = "the gradients are cleared between backward() and the step"
    ADDED_AFTER_CLEARING = "the gradients are cleared after the step, and line {line} may add to them again"
    # The forward part and the backward pass
    NO_BACKWARD = "no backward pass stands before the step in its block: gradients may add up"
    SEVERAL_BACKWARD = "{count} backward passes stand before the step"
    LOSSES_REBOUND = "the losses of the backward passes before the step (line {line}) have no names of their own"
    BACKWARD_ARGUMENTS = "backward() is given {given}"
    LOSS_ELSEWHERE = "{loss} is not computed in the same block"
    MODEL_NOT_CALLED = "the forward part does not call the model"
    MODEL_MEMORY = "the forward part reads {attribute} (line {line}), which may carry gradients"
    OTHER_LEFT = "the step on line {line} stays as it is, and would meet models or values of another framework"
    NO_FUNCTION_BODY = "line {line} of the forward part cannot stand in a function of its own"
    INNER_ASSIGNMENT = "line {line} of the forward part assigns, awaits or yields inside an expression"
    FORWARD_CONTEXT = "the forward part runs under {context} (line {line})"
    INNER_STEP = "the forward part goes on past line {line}, which changes parameters: compute again there what it uses"
    INNER_BACKWARD = "line {line} makes another backward pass"
    LONG_STRING = "a string on line {line} goes over several lines"
    USES_OPTIMIZER = "the forward part uses {optimizer} (line {line})"
    SUMMED_ACROSS_CALLS = "gradients are added up over several calls of {function}"
    # What stands around and between
    CONTEXT = "the step runs under {context} (line {line})"
    TRY = "the step stands in a try statement (line {line})"
    ASYNC = "the step stands in an async function"
    ANOTHER_STEPS = "another optimizer steps in the same function"
    STEPS_AGAIN = "{optimizer} steps again in the same function (line {line})"
    ANOTHER_BACKWARD = "there is another backward pass in the same function (line {line})"
    CLIPPED = "the gradients are clipped (line {line})"
    GRADIENTS_READ = "single gradients are read or changed (line {line})"
    SCALER = "a gradient scaler is used (line {line})"
    SHARED_LINE = "several statements share line {line}"
    BETWEEN = "line {line} stands between the forward part and the step"
    BETWEEN_USES = "line {line} stands between the forward part and the step and uses {used}"
    BETWEEN_CALLS = "line {line} stands between the forward part and the step and calls {called}"
    # Modes of models
    MODELS_UNKNOWN = "which models the optimizer trains cannot be told where it steps"
    OTHER_VARIABLE = "{name} is another variable in the function that steps"
    PART_OF_MODEL = "{model} is trained, and the model around it is not put into training mode beside the step"
    EVALUATES = "the file puts models into evaluation mode, and none into training mode beside the step"
    EVALUATES_MODEL = "the file puts models into evaluation mode, and {model} not into training mode beside the step"
    MODE_UNKNOWN = "the file does not plainly say in which mode {model} is called in the forward part"
    GROWS = "{model} is given another part on line {line}, which is not in training mode by then"
    IN_EVALUATION = "{model} is in evaluation mode (line {line})"
    # What the forward function is given and gives back
    GLOBAL = "{name} is global or nonlocal"
    CHANGED_OUTSIDE = "{name} is changed in the forward part, but made outside of it"
    NO_VALUE = "{name} may have no value before the step"
    NOT_ALWAYS_BOUND = "{name} is used after the step, but not always bound in it"
    NO_TENSOR = "{names} would be returned beside the loss, and none of them is surely a tensor"
    COMPUTED_OUTSIDE = "{name} is computed on line {line}, outside the step's block"
    # What torch would record
    FROM_EARLIER_STEP = "{name} (line {line}) comes from an earlier step and may carry its gradients in torch"
    SET_ON_SELF = "{attribute} is set on line {line} and may carry gradients in torch"
    MAY_COMPUTE = "{call} (line {line}) may compute with a model: it would be recorded, too"
    MODEL_COMPUTES = "{model} computes on line {line}: it would be recorded, too"
    # Which parameters get gradients
    UNREACHED = (
        "{layer} (line {line}) may get no gradient in some steps: one framework skips it then, the other updates it"
    )
    FROZEN = "line {line} changes which parameters are trained: the step would not notice"
    # Gradient tapes
    NOT_ZIPPED = "apply_gradients is not given zip(gradients, model.trainable_variables)"
    LEAVES_OUT = "variables without gradients are left out on line {line}: {framework} would give them zeros"
    NOT_OF_TAPE = "{name} is not plainly tape.gradient(loss, {variables}) in the same block"
    NO_TAPE = "{tape} is not plainly a tape that one `with` of the same block opens"
    SEVERAL_TAPES = "the tapes on line {line} share a forward part, which {framework} computes anew for each gradient"
    ONLY_TOGETHER = "other steps share its forward part, and only --rewrite-step writes them together"
    NOT_UNDER_TAPE = "{loss} is not computed under the tape"
    GRADIENTS_USED = "the gradients are used for something else, too"
    TAPE_USED = "the tape is used for something else, too"
    COMMENT = "there is a comment on line {line}"
    TRAINS_OTHER = "the optimizer may train something else than {model}"
    OUT_OF_ORDER = "the tape, its gradient and the step do not follow one another"
    TRAINING_FLAG = "line {line} is given training={value}"
    MODEL_BOUND = "{name} is bound under the tape"
    MIXED_FLAGS = "{model} is called both with training=True and without under the tape"
    USED_OTHERWISE = "{name} is used for something else, too (line {line})"
    # One model
    NOT_ONE_MODEL = "{optimizer} does not plainly train the parameters of one model that can be named here"
    ADDS_GROUPS = "the file adds parameter groups"
    # Gradient functions
    COMMENT_INSIDE = "there is a comment inside line {line}"
    NO_GRADIENTS = "the update is not plainly given a variable that a gradient function sets in the same block"
    GRADIENTS_CHANGED = "{name} is changed before the update (line {line})"
    NOT_LOSS_AND_GRADIENTS = "line {line} is not plainly `loss, {name} = ...` of a gradient function"
    UNKNOWN_GRADIENT_FUNCTION = "{function} is not plainly the result of value_and_grad in this file"
    NOT_VALUE_AND_GRAD = "{function} (line {line}) is not {framework}'s value_and_grad"
    NOT_VARIABLES = "line {line} assigns the results of the forward function to more than variables"
    SAME_TARGET = "line {line} assigns several results to {name}"
    UNPACKED = "the arguments of value_and_grad on line {line} cannot be told"
    NOT_WEIGHTS = "value_and_grad on line {line} does not differentiate with respect to weights alone"
    GIVEN = "value_and_grad on line {line} is given {given}"
    OTHER_PARAMETERS = "{weights} may be other parameters than those of {optimizer}"
    OTHER_CELL = "{cell} is not {framework}'s own: it may do something else in a step"
    CELL_GIVEN = "the cell on line {line} is given {given}"
    NO_NAME = "{node} (line {line}) has no name of its own"
    BOUND_LATER = "{name}, which the step goes on to use, is bound again on line {line}"
    UNKNOWN_FUNCTION = "{function} is not plainly a function of this file that can be called where the step is"
    DECORATED = "{function} has the decorator {decorator}"
    OTHER_RESULTS = "{function} does not plainly return what the step expects (line {line})"
    NO_LOSS = "{function} does not plainly return a loss"
    # TensorFlow 1 graphs
    USES_TORCH = "the file uses torch as well"
    NOT_NAMED = "the operation that minimizes the loss is not bound to a name at the top of the module"
    NOT_MINIMIZED = "the optimizer is not used by minimize where it is constructed"
    MORE_THAN_LOSS = "minimize is given more than the loss"
    BOUND_AGAIN = "{name} is bound more than once"
    NODE_NOT_NAMED = "line {line} of the graph is not bound to one name"
    GRAPH_USES = "the graph uses {used} (line {line})"
    CONSTANT = "tf.constant on line {line} is given more than a value and a type"
    NOT_WRITTEN_OUT = "the arguments of tf.{path} on line {line} are not written out"
    UNKNOWN_ARGUMENT = "tf.{path} on line {line} has an argument that is not known"
    UNKNOWN_NODE = "{node} is not a node of the graph that is known"
    UNKNOWN_LOSS = "{node} is not a loss that is known"
    NO_LAYER = "the graph has no layer whose parameters could be trained"
    NO_SESSION = "the graph is not run by one `with tf.Session() as name` at the top of the module"
    SESSION_ARGUMENTS = "the session is given arguments"
    NEVER_RUN = "the session never runs {name} on its own"
    NODE_USED = "{name} is used in another way on line {line}"
    # Objects that train by themselves
    GRAPH = "the graph of TensorFlow 1 makes the update where a session runs it"
    LOSS_NOT_OWN = "the loss is not a function of this file: choose its counterpart in {framework} first"
    GIVES_LOSS = "the network computes the loss itself"
    NOT_BOUND = "what {function} gives is not bound to a variable of its own"
    UNNAMED = "the optimizer on line {line} has no name: give it one"
    # The file
    NOT_IN_TABLE = "optmap cannot carry over {used} (line {line})"
    SEVERAL_PLACES = "the file trains in several places"
    NOT_TRANSLATED = "an optimizer of the same file was not translated (line {line})"
    # Where the rewritten code would meet what stays
    FOREIGN = "{name} on line {line}, which the rewritten code uses, stays {framework}'s"
    REFUSED = "{reason}"
    UNKNOWN_BASE = "{model} derives from {name} of another file (line {line}), which may not be translated"
    UNKNOWN_PART = "{model} holds {name} of another file (line {line}), which may not be translated"
    # What cannot be written
    NOT_WRITTEN = "optmap writes no such step for {framework}"
    NAME_TAKEN = "the file binds '{name}' to something else"
    COMMENT_IN_CALL = "there is a comment inside the call on line {line}"
    COMMENT_IN_LOSS = "there is a comment inside the loss on line {line}"
    COMMENT_IN_MINIMIZE = "there is a comment inside the call of minimize on line {line}"
    NO_UNITS = "line {line} gives no units"
    UNKNOWN_OPTION = "line {line} gives {given}, which is not known to the table"
    UNKNOWN_INITIALIZER = "line {line} initializes with {given}, which is not known to the table"
    COMPUTED_ARGUMENT = "line {line} computes an argument with TensorFlow"
    NO_ARRAY = "line {line} does not show that its initial values are an array"
    SESSION_LINE = "the session's block stands on line {line} itself"


_ACCUMULATES: Final = frozenset({Why.CLEARED_ELSEWHERE, Why.NO_BACKWARD})
"""Gradients may be added up over several backward passes."""
_HARMLESS: Final = frozenset(
    {Why.LONG_STRING, Why.SHARED_LINE, Why.MODELS_UNKNOWN, Why.PART_OF_MODEL, Why.EVALUATES, Why.EVALUATES_MODEL,
     Why.IN_EVALUATION, Why.GROWS, Why.MODE_UNKNOWN, Why.COMMENT, Why.TRAINS_OTHER, Why.COMMENT_INSIDE, Why.OTHER_LEFT}
)  # fmt: skip
"""What forbids a change that nobody looks at, but leaves the code right that a message shows for the step."""


class Reason(NamedTuple):
    """A reason with what it is about."""

    why: Why
    data: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        return self.why.value.format(**dict(self.data))

    @property
    def accumulates(self) -> bool:
        return self.why in _ACCUMULATES

    @property
    def harmless(self) -> bool:
        """Tell whether code can be shown for the step all the same."""
        return self.why in _HARMLESS


def because(why: Why, **data: object) -> Reason:
    return Reason(why, tuple(data.items()))


class NotPlain(Exception):
    """The step is not plain."""

    def __init__(self, why: Why | Reason, **data: object) -> None:
        self.reason = because(why, **data) if isinstance(why, Why) else why
        super().__init__(str(self.reason))
