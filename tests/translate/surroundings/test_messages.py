"""What the messages say: the user's own names and arguments, once, and nothing loaded that a file does not need."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes


def said(tables: MappingSet, text: str, target: str = "mindspore", faithful: bool = False) -> list[str]:
    """What is shown of it as on the command line: the message, and below it the code."""
    chosen = Options(
        Framework(target), frozenset(Framework) - {Framework(target)}, Prefer.FAITHFUL if faithful else Prefer.AUTO
    )
    result = translate_bytes(text.encode(), tables, chosen)
    return [
        f"{item.message}: {item.replacement}" if item.replacement else item.message
        for item in result.diagnostics
        if item.code.id.startswith(("OM32", "OM33"))
    ]


TORCH = "import torch\nsolver = torch.optim.SGD(net.parameters(), lr=0.1)\n"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("torch.nn.utils.clip_grad_norm_(net.parameters(), args.clip)", "grads = mindspore.ops.clip_by_norm(grads, args.clip)"),
        ("torch.nn.utils.clip_grad_norm_(net.parameters(), 1, norm_type=p)", "grads = mindspore.ops.clip_by_norm(grads, 1, p)"),
        ("torch.nn.utils.clip_grad_value_(net.parameters(), a + b)", "grads = mindspore.ops.clip_by_value(grads, -(a + b), a + b)"),
        ("solver.param_groups[0]['lr'] *= 0.5", "mindspore.ops.assign(solver.learning_rate, solver.learning_rate * 0.5)"),
        ("solver.param_groups[0]['lr'] -= a - b", "mindspore.ops.assign(solver.learning_rate, solver.learning_rate - (a - b))"),
        ("for g in solver.param_groups:\n    g['lr'] = g['lr'] * 0.5",
         "mindspore.ops.assign(solver.learning_rate, solver.learning_rate * 0.5)"),
        ("for i, g in enumerate(solver.param_groups):\n    g['lr'] = rate(i)", "mindspore.ops.assign(solver.learning_rate, rate(i))"),
        ("x = [g['lr'] for g in solver.param_groups]", "lr = float(solver.learning_rate.asnumpy())"),
        ("my_scaler = torch.amp.GradScaler('cuda', enabled=args.amp)",
         "my_scaler = mindspore.amp.DynamicLossScaler(scale_value=65536.0 if args.amp else 1.0, scale_factor=int(2.0), scale_window=2000)"),
    ],
)  # fmt: skip
def test_the_users_words(tables: MappingSet, line: str, code: str) -> None:
    (message,) = said(tables, TORCH + line + "\n")
    assert message.endswith(f": {code}")
    ast.parse(code)


def test_experimental_optimizers_keep_their_groups(tables: MappingSet) -> None:
    text = "import torch\no = torch.optim.AdamW(net.parameters())\no.param_groups[1]['lr'] = x\n"
    (message,) = said(tables, text, faithful=True)
    assert message.endswith(': mindspore.ops.assign(o.param_groups[1]["lr"], x)')


def test_strings_show_the_sources_defaults(tables: MappingSet) -> None:
    text = "import keras\nnet.body.compile('RMSprop')\n"
    (message,) = said(tables, text)
    assert "mindspore.nn.RMSProp(net.body.trainable_params(), learning_rate=0.001, epsilon=1e-07)" in message
    (message,) = said(tables, text, target="torch")
    assert "torch.optim.RMSprop(net.body.parameters(), lr=0.001, alpha=0.9, eps=1e-07)" in message


def test_an_optimizer_that_is_looked_up_keeps_its_arguments(tables: MappingSet) -> None:
    (message,) = said(
        tables, "import torch\no = getattr(torch.optim, 'SGD')(net.parameters(), lr=rate, momentum=0.9)\n"
    )
    assert message.endswith("mindspore.nn.SGD(net.trainable_params(), learning_rate=rate, momentum=0.9)")


def test_a_wrapped_optimizer_is_both(tables: MappingSet) -> None:
    """The wrapped optimizer was refused, so that nothing is said of its learning rate."""
    text = (
        "import tensorflow as tf\nfrom tensorflow.keras import mixed_precision\n"
        "other = tf.keras.optimizers.SGD(0.1)\nother.minimize(f, model.trainable_variables)\n"
        "opt = tf.keras.optimizers.SGD(0.1)\nopt = mixed_precision.LossScaleOptimizer(opt)\n"
        "loss = opt.get_scaled_loss(loss)\nopt.learning_rate = 0.1\nopt.minimize(f, model.trainable_variables)\n"
    )
    assert [message.partition(": ")[2].split(" = ")[0] for message in said(tables, text)] == ["scaler", "scaled_loss"]


def test_plain_files_load_nothing_of_this() -> None:
    load()  # so that their stored form is there
    program = (
        "import sys\nfrom optmap import translate_source\n"
        "translate_source('import os\\nprint(1)\\n', to='mindspore')\n"
        "print([name for name in sys.modules if 'around' in name or 'configs' in name or name == 'yaml'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
