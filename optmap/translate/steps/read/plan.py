"""Training steps that are plain, as they are handed to what rewrites them."""

from __future__ import annotations

import ast

from optmap.translate.discover.events import Event
from optmap.translate.discover.holders import Holder
from optmap.translate.discover.trained import Chain
from optmap.values import NamedTuple


class Ready(NamedTuple):
    """A statement that constructs an optimizer, and the models to put into training mode behind it, as named there."""

    statement: ast.stmt
    models: tuple[Chain, ...]


class Clip(NamedTuple):
    """A statement that clips the gradients: `how` is a key of `clip` in the frameworks' facts, `bound` the limit.

    `given` and `made` are the variables of the gradients before and after; empty where the parameters hold them.
    """

    statement: ast.stmt
    how: str
    bound: ast.expr
    given: str = ""
    made: str = ""


class PlainStep(NamedTuple):
    """A plain step. `region` becomes the body of the forward function, `gone` disappears, `step` becomes the update.

    The function is defined in front of `hoist`. `loss` is the variable that holds the loss, None where it has none.
    `arguments` are passed to the function, `returned` are the names besides the loss that it must give back. `training`
    are models that must be put into training mode in front of the function, `ready` says where others are. `clips` clip
    the gradients before the update. `head` is the statement whose block the region is, for a gradient tape; `toggled` are
    models that are in training mode for the call alone. In `loop`, if there is one, gradients are added up until they are
    cleared. `own_clips` are made by the optimizer itself, behind `clips`. Where other steps share the forward
    part, `shared` are the parameters whose gradients this one takes.
    """

    event: Event
    holder: Holder
    region: tuple[ast.stmt, ...]
    gone: tuple[ast.stmt, ...]
    backward: ast.stmt
    step: ast.stmt
    hoist: ast.stmt
    loss: str | None
    value: ast.expr
    arguments: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    training: tuple[Chain, ...] = ()
    ready: tuple[Ready, ...] = ()
    clips: tuple[Clip, ...] = ()
    head: ast.With | None = None
    toggled: tuple[Chain, ...] = ()
    loop: ast.stmt | None = None
    own_clips: tuple[Clip, ...] = ()
    shared: str = ""

    @property
    def sum(self) -> str:
        """The sum of several losses, which stands nowhere in the file; empty where there is one."""
        return "" if hasattr(self.value, "lineno") or self.loss is not None else ast.unparse(self.value)

    def clipped(self, gradients: str) -> str:
        """The variable that holds the gradients behind all clips, `gradients` where clips give them no other."""
        return next((clip.made for clip in reversed(self.clips) if clip.made), gradients)

    @property
    def anchor(self) -> ast.stmt:
        """The statement that the call of the gradient function replaces."""
        return self.head or (self.region[0] if self.region else self.backward)
