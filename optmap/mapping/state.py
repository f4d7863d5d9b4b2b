"""What an optimizer holds between two steps: quantities by canonical name, and how each class stores them."""

from optmap.mapping.records import Position, Record, key, own_key, place


class StateError(ValueError):
    """A state cannot be read or carried over; the message says why."""


class RequestError(StateError):
    """What was asked for is malformed, unknown or cannot be read."""


class Quantity(Record):
    """A quantity of an optimizer's state, by its canonical name."""

    name: str = own_key()
    at: Position = place()
    about: str = key("what it is")
    scalar: bool = key("it is one number, not an array of the parameter's shape", default=False)


class Slot(Record):
    """How a class stores a quantity. Arithmetic stands over hyperparameters and scalar quantities, in braces as in `rate`."""

    name: str = own_key()
    at: Position = place()
    slot: str = key("the framework's own name; `{parameter}` stands for the name of the parameter")
    times: str | None = key("the class stores the quantity times this", default=None)
    value: str | None = key("the class stores this, which follows from other quantities", default=None)
    start: str = key("what the class stores before the first step", default="0")
    when: str | None = key("the hyperparameter without which the quantity has no effect", default=None)
    unsaved: bool = key("the framework's own files leave the quantity out", default=False)


class Files(Record, title="saved"):
    """The files in which a framework saves the state of an optimizer."""

    endings: tuple[str, ...] = key("endings of the files that are read; any without", default=(), name="read")
    written: tuple[str, ...] = key("endings of the files that are written")
    load: tuple[str, ...] = key("the lines of code that load the file {path}")
    named: bool = key("the file has the names of the parameters, so that their order says nothing", default=False)
    kernels: str = key("which axis of a layer's matrix comes first")
