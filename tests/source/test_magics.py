"""What IPython takes out of a cell is blanked, at the same length; what it leaves is Python and stays."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optmap.source.magics import CellKind, read_cell

PYTHON = [
    "x = 1\n",
    "y = (5\n  %  3)",
    "s = '''\n%matplotlib inline\n!ls\n'''\n",
    's = """\n%%time\n"""',
    "t = a \\\n  % b",
    "f(\n    !0 if False else 1\n)".replace("!0", "0"),
    "await g()\n",
    "a != b\n",
    "d = {1: '?'}  # why?\n",
    "",
    "# only a comment",
    "x = 'é' % 3",
]
BLANKED = [
    ("%matplotlib inline\nx = 1\n", "0                 \nx = 1\n"),
    ("!pip install a\n", "0             \n"),
    ("!!ls", "0   "),
    ("x = !ls -l  # no comment\ny = 2", "x = 0                   \ny = 2"),
    ("files = %sx ls\n", "files = 0     \n"),
    ("d['a=b'] = !ls\n", "d['a=b'] = 0  \n"),
    ("torch.optim.SGD?\n", "0               \n"),
    ("torch.optim??", "0            "),
    ("?torch\n", "0     \n"),
    ("??torch", "0      "),
    ("if x:\n    %cd ..\n    !ls\n", "if x:\n    0     \n    0  \n"),
    (
        "!pip install \\\n    a b\nx = 1",
        "0             \n       \nx = 1".replace("0             \n", "0             \n"),
    ),
    ("%time x = f(1)\n", "0;    x = f(1)\n"),
    ("%timeit -n 10 -r3 f(1)", "0;                f(1)"),
    ("%timeit import os", "0                "),
    ("!echo é\n", "0       \n"),
    ("%%time\nx = 1", "0     \nx = 1"),
    ("%%capture out --no-stderr\nx = 1\n!ls", "0                        \nx = 1\n0  "),
    ("\n\n%%time\n%%capture\nx = 1", "\n\n0     \n0        \nx = 1"),
    ("/f 1\n", "0   \n"),
    ("pip install torch", "0                "),
    ("x = (1,\n     2)\n%who", "x = (1,\n     2)\n0   "),
    ("s = '''a\n!b'''\n!c", "s = '''a\n!b'''\n0 "),
    ("f(')')\n%who\n", "f(')')\n0   \n"),
    ("x = 1  # (\n%who", "x = 1  # (\n0   "),
    ("s = 'it\\'s ('\n%who", "s = 'it\\'s ('\n0   "),
    ("%cd a\r\nx = 1\r\n", "0    \r\nx = 1\r\n"),
]


@pytest.mark.parametrize("text", PYTHON)
def test_python_stays(text: str) -> None:
    found = read_cell(text)
    assert (found.kind, found.text, found.words) == (CellKind.PYTHON, text, frozenset())


@pytest.mark.parametrize(("text", "expected"), BLANKED)
def test_what_is_not_python_is_blanked(text: str, expected: str) -> None:
    found = read_cell(text)
    assert found.kind in (CellKind.PYTHON, CellKind.FUNCTION)
    assert found.text == expected
    assert len(found.text.encode()) == len(text.encode())
    ast.parse(found.lead + found.text)


@pytest.mark.parametrize("magic", ["bash", "html", "writefile a.py", "script perl", "javascript", "python2"])
def test_bodies_that_are_no_python_of_the_notebook(magic: str) -> None:
    assert read_cell(f"%%{magic}\nimport torch\n").kind is CellKind.FOREIGN


def test_a_magic_that_nobody_knows_may_do_anything() -> None:
    assert read_cell("%%backend torch\nimport torch\n").kind is CellKind.UNKNOWN


def test_a_timed_cell_runs_as_a_function() -> None:
    assert read_cell("%%timeit\nx = 1\n").kind is CellKind.FUNCTION


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("print 'a'\n", 1, 1),
        ("x = 1\ny = = 2\n", 2, 5),
        ("%cd a\nf(\n", 2, 2),
        ("x = '\ud800'", 1, 1),
        ("x = '\0'", 1, 1),
    ],
)
def test_a_broken_cell_says_where(text: str, line: int, column: int) -> None:
    found = read_cell(text)
    assert (found.kind, found.line, found.column) == (CellKind.BROKEN, line, column)
    assert found.message


def test_an_indented_cell_parses_with_a_lead() -> None:
    found = read_cell("    x = 1\n    y = 2\n")
    assert (found.kind, found.text) == (CellKind.PYTHON, "    x = 1\n    y = 2\n")
    ast.parse(found.lead + found.text)


def test_words_of_magics_are_known() -> None:
    assert read_cell("!echo {torch.__version__} $name torchvision").words == {"torch", "__version__", "name"}
    assert "torch" not in read_cell("!pip install torch").words
    assert "torch" in read_cell("torch?").words
    assert "optim" in read_cell("%prun for i in optim: f()\n").words


@given(st.text(alphabet="%!?x=' \"\n\r\\()[]{}#;/,é1f:", max_size=60))
def test_any_text_is_read(text: str) -> None:
    found = read_cell(text)
    if found.kind in (CellKind.PYTHON, CellKind.FUNCTION):
        ast.parse(found.lead + found.text)
        assert len(found.text.encode()) == len(text.encode())
        assert [len(line) for line in found.text.encode().splitlines()] == [
            len(line) for line in text.encode().splitlines()
        ]
