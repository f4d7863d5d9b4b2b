"""Files that once were in order: cases with pieces taken out, put in, doubled and exchanged."""

from __future__ import annotations

import re
from random import Random
from typing import Final

from optmap.translate.options import Options
from tests.casefiles import cases
from tests.translate.test_cases import options_of

CASES: Final = [case for case in cases() if not any("==" in value for value in case.options.values())]
_PIECE: Final = re.compile(r"\w+|[^\S\n]+|\n|.")
_ODD: Final = [
    "\0", "\x0c", "\r", "\\\n", "\t", "é", "\u2028", "\u202e", "\U0001f642", "#", "# optmap: ignore\n", "'", '"""', "f'{", "(", ")", "[",
    "{", ",", ";", ":", "=", ":=", "*", "**", ".", "@", "lambda:", "yield ", "await ", "async ", "global opt\n", "del opt\n", "return\n",
    "import torch.optim as optim\n", "from torch.optim import *\n", "optim = None\n", "torch = 1\n", "if x:\n    ", "else:\n", "class X:\n    ",
    "def f(opt):\n    ", "for opt in y:\n    ", "try:\n    ", "except: pass\n", "with x as opt: pass\n", "1e999", "0x" + "f" * 300, "None",
]  # fmt: skip


def mutated(random: Random) -> tuple[bytes, Options]:
    """A mutilated case and its options."""
    case = random.choice(CASES)
    options = options_of(case)._replace(rewrite_step=random.random() < 0.5)
    data = mutate(random, case.before).encode("utf-8", "surrogatepass")
    return data.replace(b"\n", random.choice([b"\n", b"\n", b"\n", b"\r\n"])), options


def mutate(random: Random, text: str) -> str:
    """The text with a few changes that leave most of it in order."""
    pieces = _PIECE.findall(text)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(pieces) or 1)
        kind = random.randrange(6)
        if kind == 0:
            pieces[at:at] = [random.choice(_ODD)]
        elif kind == 1:
            del pieces[at : at + random.choice([1, 1, 2, 5])]
        elif kind == 2:
            pieces[at:at] = pieces[at : at + random.randint(1, 20)]
        elif kind == 3:
            words = [index for index, piece in enumerate(pieces) if piece.isidentifier()]
            if len(words) > 1:
                one, other = random.sample(words, 2)
                pieces[one], pieces[other] = pieces[other], pieces[one]
        else:
            lines = "".join(pieces).split("\n")
            line = random.randrange(len(lines))
            moved = lines.pop(line) if kind == 4 else lines[line]
            lines.insert(random.randrange(len(lines) + 1), moved)
            pieces = _PIECE.findall("\n".join(lines))
    return "".join(pieces)
