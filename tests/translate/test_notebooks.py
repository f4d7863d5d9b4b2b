"""Notebooks: names flow from cell to cell, only sources of cells change, and the rest is said cell by cell."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.report.json import translation_report
from optmap.translate.notebook import translate_notebook
from optmap.translate.options import Options
from optmap.translate.results import FileResult
from tests.properties import examples

TABLES = load()
OPTIONS = Options(Framework("mindspore"), frozenset({Framework("torch"), Framework("tensorflow")}))
IMPORTS = "import torch\nimport torch.optim as optim\nfrom torch import nn"
CALL = "opt = optim.SGD(net.parameters(), lr=0.1)"
DONE = "opt = mindspore.nn.SGD(net.trainable_params(), learning_rate=0.1)"


def lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def notebook(*cells: str | dict[str, Any], **style: Any) -> bytes:
    made = [
        {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [{"data": {"image/png": "optim" * 9}}],
         "source": lines(cell)} if isinstance(cell, str) else cell
        for cell in cells
    ]  # fmt: skip
    document = {"cells": made, "metadata": {"kernelspec": {"language": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(document, **{"indent": 1, **style}) + "\n").encode()


def texts(data: bytes) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(data)["cells"]]


def translate(data: bytes, options: Options = OPTIONS) -> FileResult:
    """Translate, and prove what every result must satisfy."""
    result = translate_notebook(data, TABLES, options)
    if not result.changed:
        assert result.output == data
        return result
    again = translate_notebook(result.output, TABLES, options)
    assert not again.changed, "a second pass changes the result"
    before, after = json.loads(data), json.loads(result.output)
    changed = {cell.number: cell for cell in result.cells}
    for number, (old, new) in enumerate(zip(before["cells"], after["cells"], strict=True), 1):
        if number in changed:
            assert "".join(old["source"]) == changed[number].before
            assert "".join(new["source"]) == changed[number].after
            assert isinstance(new["source"], type(old["source"]))
            old["source"] = new["source"] = ""
    assert before == after
    return result


def cells(*sources: str, options: Options = OPTIONS) -> list[str]:
    return texts(translate(notebook(*sources), options).output)


def said(result: FileResult, infos: bool = False) -> list[tuple[str, int | None, int, int]]:
    return [
        (item.code.id, item.cell, item.line, item.column)
        for item in result.diagnostics
        if infos or item.severity != "info"
    ]


def test_names_flow_from_cell_to_cell() -> None:
    markdown = {"cell_type": "markdown", "metadata": {}, "source": ["# import torch.optim"]}
    data = notebook(markdown, IMPORTS, "net = nn.Linear(2, 3)", CALL + "\nopt.step()")
    result = translate(data)
    assert texts(result.output)[1:] == [
        "import torch\nimport mindspore\nfrom torch import nn", "net = nn.Linear(2, 3)", DONE + "\nopt.step()",
    ]  # fmt: skip
    assert [(call.cell, call.line, call.column, call.status) for call in result.calls] == [(4, 1, 7, "translated")]
    assert result.output == notebook(
        markdown, "import torch\nimport mindspore\nfrom torch import nn", "net = nn.Linear(2, 3)", DONE + "\nopt.step()"
    )


def test_magics_stay() -> None:
    first = "%matplotlib inline\n!pip install torch\n" + IMPORTS
    second = f"%%time\nfiles = !ls\nif files:\n    %cd ..\n{CALL}\nnet?"
    assert cells(first, second) == [
        "%matplotlib inline\n!pip install torch\nimport torch\nimport mindspore\nfrom torch import nn",
        second.replace(CALL, DONE),
    ]


def test_the_import_goes_to_no_magic_cell() -> None:
    assert cells("!pip install torch", "%%bash\nls", "%load_ext x", "x = 1\n" + IMPORTS, CALL) == [
        "!pip install torch", "%%bash\nls", "%load_ext x", "x = 1\nimport torch\nimport mindspore\nfrom torch import nn", DONE,
    ]  # fmt: skip
    assert cells("%%capture\nimport torch.optim as optim", "net = f()", CALL) == [
        "%%capture\nimport torch.optim as optim", "import mindspore\nnet = f()", DONE,
    ]  # fmt: skip
    assert cells("%%time\nimport torch.optim as optim\n" + CALL) == [
        "%%time\nimport mindspore\nimport torch.optim as optim\n" + DONE
    ]


def test_the_import_comes_before_every_use() -> None:
    first = "from torch import optim as o\nnet = f()\nopt = o.SGD(net.parameters(), lr=0.1)"
    assert cells("x = 1", first, IMPORTS, CALL)[1].startswith("import mindspore\n")
    assert cells(
        "def f():\n    import torch\n    return torch.optim.SGD(p.parameters(), lr=0.1)", "import torch\nf(torch)"
    ) == [
        "import mindspore\ndef f():\n    import torch\n    return mindspore.nn.SGD(p.trainable_params(), learning_rate=0.1)",
        "import torch\nf(torch)",
    ]


def test_future_imports_stay_first() -> None:
    before = '"""Title"""\nfrom __future__ import annotations\n'
    assert cells(before + IMPORTS, CALL)[0].startswith(before + "import torch\nimport mindspore\n")
    assert cells(before + "x = 1", IMPORTS, CALL)[0] == before + "x = 1"


def test_an_import_that_is_all_of_a_cell_goes() -> None:
    adam = "\nopt = Adam(net.parameters())"
    first, second = "import torch.optim as optim", "from torch.optim import Adam"
    result = translate(notebook(first, second, "net = f()\n" + CALL + adam))
    assert texts(result.output)[:2] == ["from mindspore import nn", ""]
    assert json.loads(result.output)["cells"][1]["source"] == [""]


@pytest.mark.parametrize(
    "use",
    ["x = optim.lr_scheduler", "optim.SGD?", "%time optim.f()", "!echo {optim}", "%%foo\noptim", "print 'a', optim"],
)
def test_an_import_that_any_cell_uses_stays(use: str) -> None:
    assert "import torch.optim as optim" in cells(IMPORTS, "net = f()\n" + CALL, use)[0]


def test_a_shell_command_that_names_a_package_is_no_use_of_it() -> None:
    assert "torch.optim" not in cells("!pip install optim\n" + IMPORTS, "net = f()\n" + CALL)[0]


def test_timed_statements_are_translated() -> None:
    assert cells(IMPORTS, "net = f()", f"%time {CALL}", f"%%timeit\n{CALL}")[2:] == [
        f"%time {DONE}",
        f"%%timeit\n{DONE}",
    ]


def test_broken_cells_do_not_stop_the_others() -> None:
    result = translate(notebook(IMPORTS, "print 'a'\nx = 1", "net = f()", CALL, f"print 'b'\n{CALL}"))
    assert texts(result.output)[3] == DONE
    assert texts(result.output)[4] == f"print 'b'\n{CALL}"
    assert said(result, infos=True) == [("OM511", 2, 1, 1), ("OM411", 4, 1, 17), ("OM510", 5, 1, 1)]
    assert "import torch.optim as optim" in texts(result.output)[0]


def test_names_that_a_broken_cell_may_bind_prove_nothing() -> None:
    result = translate(notebook(IMPORTS, "print 'a'\noptim = other", "net = f()", CALL))
    assert not result.changed
    assert said(result, infos=True) == [("OM511", 2, 1, 1), ("OM210", 4, 1, 7)]


def test_names_that_only_a_broken_cell_imports_are_followed_and_kept() -> None:
    first = "import torch.optim as optim\nprint 'a'"
    assert cells(first, "net = f()\n" + CALL) == [first, "import mindspore\nnet = f()\n" + DONE]


def test_what_a_broken_cell_trains_is_unknown() -> None:
    keras = "import tensorflow as tf\nmodel = f()\nopt = tf.keras.optimizers.SGD()\nmodel.compile(opt)"
    assert translate(notebook(keras)).changed
    result = translate(notebook(keras, "print 'a'\nother.compile(optimizer=opt)"))
    assert said(result) == [("OM204", 1, 3, 7)]


def test_messages_name_lines_of_cells() -> None:
    keras = "import tensorflow as tf\nmodel = f()\nopt = tf.keras.optimizers.SGD()"
    result = translate(notebook(keras, "x = 1\nopt.minimize(loss)"))
    assert "line 2 of cell 2" in result.diagnostics[0].message


def test_every_line_that_a_message_names_is_one_of_a_cell() -> None:
    step = "for x in batches:\n    opt.zero_grad()\n    net(x).sum().backward(create_graph=True)\n    opt.step()"
    result = translate(notebook(IMPORTS, f"net = nn.Linear(2, 3)\n{CALL}", step, "bad = optim.SGD(**options)"))
    texts = [f"{item.message} {item.replacement}" for item in result.diagnostics]
    named = [found for text in texts for found in re.findall(r"\blines? \d+(?: of cell \d)?", text)]
    assert named
    assert all("of cell" in found for found in named), named


def test_bodies_of_other_magics_are_left_and_said() -> None:
    body = "%%writefile train.py\nimport torch\ntorch.optim.SGD(p, lr=1)"
    result = translate(notebook(IMPORTS, "net = f()\n" + CALL, body, "%%bash\necho optim", "%%html\ntorch.optim.SGD"))
    assert texts(result.output)[2] == body
    assert said(result) == [("OM512", 3, 1, 1)]


def test_ignore_comments_work_in_cells() -> None:
    result = translate(notebook(IMPORTS, "net = f()", CALL + "  # optmap: ignore", "!x\n" + CALL))
    assert texts(result.output)[2:] == [CALL + "  # optmap: ignore", "!x\n" + DONE]
    cookie = translate(notebook("# -*- coding: bogus -*-\nimport torch.optim as optim", CALL + "  # optmap: ignore"))
    assert not cookie.changed


def test_indented_cells() -> None:
    assert cells(IMPORTS, "    net = f()\n    " + CALL)[1] == "    net = f()\n    " + DONE
    assert cells("  import torch.optim as optim\n  " + CALL) == [
        "  import mindspore\n  import torch.optim as optim\n  " + DONE
    ]


def test_the_source_as_one_string() -> None:
    one = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": text} for text in (IMPORTS, CALL)]
    result = translate(notebook(*one))
    assert [cell["source"] for cell in json.loads(result.output)["cells"]] == [
        "import torch\nimport mindspore\nfrom torch import nn",
        DONE,
    ]


@pytest.mark.parametrize("ascii", [True, False])
def test_characters_outside_ascii(ascii: bool) -> None:
    call = "opt = optim.SGD(net.parameters(), lr=été / 2)  # 😀 é"
    data = notebook(IMPORTS, call, ensure_ascii=ascii)
    result = translate(data)
    assert texts(result.output)[1] == "opt = mindspore.nn.SGD(net.trainable_params(), learning_rate=été / 2)  # 😀 é"
    assert result.output.isascii() == ascii
    assert result.output == notebook(*texts(result.output), ensure_ascii=ascii)


def test_escapes_that_hide_letters() -> None:
    data = notebook(IMPORTS, CALL).replace(b"torch", b"\\u0074orch").replace(b"optim", b"o\\u0070tim")
    assert texts(translate(data).output)[1] == DONE


def test_crlf_in_cells() -> None:
    result = translate(notebook(IMPORTS.replace("\n", "\r\n"), "net = f()\r\n" + CALL))
    assert texts(result.output) == ["import torch\r\nimport mindspore\r\nfrom torch import nn", "net = f()\r\n" + DONE]


def test_a_byte_order_mark_and_odd_white_space_stay() -> None:
    data = b"\xef\xbb\xbf \r\n" + notebook(IMPORTS, CALL).replace(b'"metadata": {}', b'"metadata" :{ }') + b"\n \t\n"
    result = translate_notebook(data, TABLES, OPTIONS)
    expected = notebook("import torch\nimport mindspore\nfrom torch import nn", DONE)
    assert result.output == b"\xef\xbb\xbf \r\n" + expected.replace(b'"metadata": {}', b'"metadata" :{ }') + b"\n \t\n"


def test_half_a_surrogate_pair_breaks_its_cell_only() -> None:
    result = translate_notebook(notebook(IMPORTS, "x = '\ud800'", CALL), TABLES, OPTIONS)
    assert b"mindspore.nn.SGD" in result.output
    assert b"\\ud800" in result.output
    assert said(result, infos=True) == [("OM511", 2, 1, 1)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1]",
        b'{"cells": 1, "nbformat": 4}',
        notebook(IMPORTS, CALL)[:-9],
        notebook(IMPORTS, CALL).replace(b"{}", b"{,}"),
        b"\xff\xfe{\0",
    ],
)
def test_broken_notebooks_are_reported_and_stay(data: bytes) -> None:
    result = translate(
        data + b"" if b"cells" not in data else data.replace(b'"cells": 1', b'"x": "torch.optim", "cells": 1')
    )
    assert [item.code.id for item in result.diagnostics] == ["OM005"]
    assert result.error


def test_old_notebooks_are_reported_and_stay() -> None:
    document = {"worksheets": [{"cells": [{"cell_type": "code", "input": [IMPORTS, CALL]}]}], "nbformat": 3}
    result = translate(json.dumps(document).encode())
    assert [item.code.id for item in result.diagnostics] == ["OM006"]


def test_other_languages_stay() -> None:
    data = notebook(IMPORTS, CALL).replace(b'"python"', b'"R"')
    assert translate(data) == FileResult(data)


def test_the_report_numbers_cells_in_notebooks_only() -> None:
    result = translate(notebook("x = 1", IMPORTS, CALL))
    report = json.loads(translation_report([("a.ipynb", result), ("b.py", FileResult(b""))]))
    assert [(call["cell"], call["line"], call["column"]) for call in report["files"][0]["calls"]] == [(3, 1, 7)]
    assert all(
        set(item) == {"code", "severity", "message", "line", "column", "table", "cell"}
        for item in report["files"][0]["diagnostics"]
    )


FILLERS = [
    "",
    "x = 1\n",
    "# é 😀",
    "%matplotlib inline",
    "!ls \\\n -l\n",
    "%%bash\necho 'a\n",
    "print 'a'\n",
    "def f():\n    return '''\n%x\n'''",
    "y?",
    "    z = 2",
    "%%time\nx = 1",
    "s = 'a\\n\\\\/'\r\nx = 2",
]
CALLS = [CALL, "opt = optim.Adam(\n    net.parameters(),  # é\n    lr=1e-3,\n    betas=(0.9, 0.99),\n    fused=True,\n)\n", "if 1:\n    %cd a\n    o = torch.optim.AdamW(net.parameters(), weight_decay=ü/2)", "%time " + CALL, "%%capture out\n" + CALL, "import torch.optim as o2\n" + CALL.replace("optim", "o2")]  # fmt: skip


@examples(120, [HealthCheck.too_slow])
@given(st.data())
def test_random_notebooks(draw: st.DataObject) -> None:
    some = draw.draw(st.lists(st.sampled_from([*FILLERS, *CALLS]), min_size=1, max_size=6))
    imports = draw.draw(st.permutations([*IMPORTS.split("\n"), "x = 1"]))
    split = draw.draw(st.integers(0, 4))
    parts = ["\n".join(imports[:split]), "\n".join(imports[split:])]
    sources = [draw.draw(st.sampled_from(FILLERS)), *parts, *some]
    one = draw.draw(st.booleans())
    style: dict[str, Any] = {
        "indent": draw.draw(st.sampled_from([None, 0, 1, 4])),
        "ensure_ascii": draw.draw(st.booleans()),
    }
    made: list[str | dict[str, Any]] = [
        {"cell_type": "code", "source": source} if one and draw.draw(st.booleans()) else source for source in sources
    ]
    data = notebook(*made, **style)
    result = translate(data)
    wanted = [source for source in sources if source in CALLS]
    translated = [call for call in result.calls if call.status == "translated"]
    assert len(translated) == len(wanted), result.diagnostics
    assert not any(item.code.id.startswith("OM00") for item in result.diagnostics)
    document = json.loads(data)
    for cell, text in zip(document["cells"], texts(result.output), strict=True):
        cell["source"] = text if isinstance(cell["source"], str) else (lines(text) or [""] * bool(cell["source"]))
    assert result.output == (json.dumps(document, **style) + "\n").encode()
