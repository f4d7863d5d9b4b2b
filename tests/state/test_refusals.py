"""What convert-state refuses, with the reason, and that nothing is written then; and what files it reads."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optmap.mapping.load import load
from optmap.mapping.state import StateError
from optmap.state import files
from optmap.state.calls import stated_call
from optmap.state.convert import Converted, convert_state
from tests.commandline import run
from tests.state.sides import SIDES, Arrays
from tests.state.test_pairs import arrays, in_this_process

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("torch", "tensorflow", "mindspore"))), reason="needs all three frameworks"
)
NAMED = ("0=weight", "1=bias")
LAID = ("0=weight:same", "1=bias")
"""The parameters of `arrays`, and their layouts where Keras takes part."""
ADAM, ADAMW, SGD = (f"torch.optim.{name}" for name in ("Adam", "AdamW", "SGD"))
KERAS, MINDSPORE = "tf.keras.optimizers.Adam", "mindspore.nn.Adam"


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_ask", in_this_process)


def trained(api: str, path: Path, steps: int = 2, weights: Arrays | None = None, **arguments: Any) -> Path:
    """The file of an optimizer after some steps."""
    framework = {"to": "torch", "tf": "tensorflow", "mi": "mindspore"}[api[:2]]
    side = SIDES[framework](api, arguments, weights or arrays(0))
    for seed in range(steps):
        side.step(arrays(seed + 1) if weights is None else weights)
    side.save(path)
    return path


def torch_file(folder: Path, change: Callable[[dict[str, Any]], object] = lambda state: None) -> Path:
    """The state_dict of an Adam, changed."""
    import torch

    path = trained(ADAM, folder / "adam.pt")
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def converted(source: Path, optimizer: str = ADAM, to: str = "mindspore", **more: Any) -> Converted:
    target = source.with_name(
        "target" + {"m": ".ckpt", "tf": ".npz", "te": ".npz"}.get(to[:1] if to[0] == "m" else to[:2], ".pt")
    )
    given: dict[str, Any] = {"parameters": NAMED if target.suffix == ".ckpt" else LAID, **more}
    try:
        return convert_state(source, target, optimizer=optimizer, to=to, **given)
    except StateError:
        assert not target.exists()
        assert [path.name for path in source.parent.iterdir()] in ([source.name], []), "something was left behind"
        raise


def state(content: dict[str, Any]) -> Any:
    return content["state"]


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no entry of a parameter": (lambda c: state(c).pop(1), "no state for parameter 1, which has never had a gradient"),
    "no moment": (lambda c: [item.pop("exp_avg") for item in state(c).values()], "has no first moment (exp_avg"),
    "no moment of one parameter": (lambda c: state(c)[1].pop("exp_avg"), "has no exp_avg of parameter 1"),
    "one more quantity": (lambda c: state(c)[0].update(trust=state(c)[0]["exp_avg"]), "the file holds trust, which torch.optim.Adam does not"),
    "shapes that differ": (lambda c: state(c)[0].update(exp_avg=state(c)[0]["exp_avg"][:1]), "of 0 has the shape (1, 2), expected (3, 2)|of 0 has the shape (3, 2), expected (1, 2)"),
    "steps that differ": (lambda c: state(c)[0].update(step=state(c)[0]["step"] + 1), "the parameters differ in their step"),
    "groups that differ": (lambda c: c.update(param_groups=[{**c["param_groups"][0], "params": [0]}, {**c["param_groups"][0], "params": [1], "lr": 0.5}]), "the parameter groups differ in lr"),
    "another class": (lambda c: c["param_groups"][0].update(momentum_decay=0.004), "the file has momentum_decay=0.004, which torch.optim.Adam does not take"),
    "another version": (lambda c: c["param_groups"][0].pop("amsgrad"), "the file has no amsgrad, which torch.optim.Adam has"),
    "no groups": (lambda c: c.pop("param_groups"), "is no state_dict of an optimizer: it has state"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_a_state_dict_that_is_not_what_it_should_be(case: str, tmp_path: Path) -> None:
    change, reason = CHANGES[case]
    source = torch_file(tmp_path, change)
    with pytest.raises(StateError) as caught:
        converted(source)
    assert any(text in str(caught.value) for text in reason.split("|"))


@pytest.mark.parametrize(
    ("optimizer", "to", "more", "reason"),
    [
        (ADAM, "mindspore", {"parameters": None}, "which of the 2 parameters becomes which must be stated"),
        (ADAM, "mindspore", {"parameters": ("0=weight",)}, "the map lacks 1"),
        (
            ADAM,
            "mindspore",
            {"parameters": ("0=weight", "2=bias")},
            "the map names 2, but the state has the parameters 0, 1",
        ),
        (ADAM, "mindspore", {"parameters": ("0=weight", "1=weight")}, "the map names weight of the target twice"),
        (ADAM, "mindspore", {"parameters": ("0=weight", "1=bias:transpose")}, "the layout of 1 is 'transpose', but"),
        (ADAM, "mindspore", {"parameters": ("0",)}, "found '0', expected FROM=TO"),
        (ADAM, "mindspore", {"parameters": None, "in_order": True}, "must be stated"),
        (ADAM, "mindspore", {"in_order": True}, "either mapped or taken in order"),
        (ADAM, "tensorflow", {"parameters": NAMED}, "torch stores the matrix of a layer with the outputs first"),
        (ADAM, "mindspore", {"steps": 7}, "found 7 as the number of steps, but the file says 2"),
        (ADAM, "mindspore", {"entry": "model"}, "has no entry 'model'"),
        (f"{ADAM}(lr=0.5)", "mindspore", {}, "the file has lr=0.001, but the call says 0.5"),
        (f"{ADAM}(rate=0.5)", "mindspore", {}, "has no argument 'rate'"),
        (f"{ADAM}([w], lr=0.5)", "mindspore", {}, "expected keywords only, and no parameters"),
        (f"{ADAM}(lr=rate)", "mindspore", {}, "expected a keyword with a number"),
        (SGD, "mindspore", {}, "which torch.optim.SGD does not"),
        ("torch.optim.RAdam", "mindspore", {}, "which torch.optim.RAdam does not take: another class has saved it"),
        ("torch.optim.AdamW", "mindspore", {}, "decoupled_weight_decay=False, which torch.optim.AdamW does not take"),
        ("torch.optim.Adafactor", "mindspore", {}, "the tables do not describe the state of torch.optim.Adafactor"),
        ("Adam", "mindspore", {}, "Adam may be"),
        ("torch.optim.Adm", "mindspore", {}, "unknown class"),
        (ADAM, "mindspore.nn.Lamb", {}, "cannot express this call of torch.optim.Adam"),
        (ADAM, "mindspore.mint.optim.Adam", {}, "the tables do not describe the state of mindspore.mint.optim.Adam"),
        (ADAM, "torch.optim.AdamW", {}, "both classes are torch's"),
        (MINDSPORE, "torch", {}, "a file of mindspore that does not end in .ckpt"),
    ],
)
def test_a_request_that_cannot_be_met(
    optimizer: str, to: str, more: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(StateError) as caught:
        converted(torch_file(tmp_path), optimizer, to, **more)
    assert reason in str(caught.value)


def test_a_quantity_without_counterpart(tmp_path: Path) -> None:
    source = trained(ADAM, tmp_path / "amsgrad.pt", amsgrad=True)
    with pytest.raises(StateError, match=r"experimental.optim.Adam has no counterpart of the max second moment"):
        converted(source, to="mindspore.experimental.optim.Adam")


@pytest.mark.parametrize(("name", "unsaved"), [("NAdam", "mu_product_{parameter}"), ("ASGD", "eta_{parameter}")])
def test_what_mindspore_leaves_out_of_its_checkpoints(name: str, unsaved: str, tmp_path: Path) -> None:
    source = trained(f"torch.optim.{name}", tmp_path / "state.pt")
    with pytest.raises(StateError) as caught:
        converted(source, f"torch.optim.{name}", f"mindspore.experimental.optim.{name}")
    assert f"mindspore neither saves nor loads {unsaved}" in str(caught.value)


def test_steps_that_nobody_counts_must_be_stated(tmp_path: Path) -> None:
    source = trained(SGD, tmp_path / "sgd.pt", momentum=0.9)
    with pytest.raises(StateError, match="counts its steps, which the source does not: state how many there were"):
        converted(source, SGD)
    assert converted(source, SGD, steps=2).steps == 2


def test_no_step_yet(tmp_path: Path) -> None:
    for api, name in ((ADAM, "new.pt"), (MINDSPORE, "new.ckpt")):
        source = trained(api, tmp_path / name, steps=0)
        parameters = NAMED if api == ADAM else ("weight=weight", "bias=bias")
        with pytest.raises(StateError, match=r"before its first step|made no step yet"):
            convert_state(source, tmp_path / f"out{'.ckpt' if api == ADAM else '.pt'}", optimizer=api,
                          to="mindspore" if api == ADAM else "torch", parameters=parameters)  # fmt: skip


class Harmful:
    """What a pickle may hold: it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    import torch

    trap, source = tmp_path / "trap", tmp_path / "bad.pt"
    for write in (
        lambda: torch.save({"state": Harmful(trap)}, source),
        lambda: source.write_bytes(pickle.dumps(Harmful(trap))),
    ):
        write()
        with pytest.raises(StateError, match="no file of tensors and plain values"):
            convert_state(source, tmp_path / "out.ckpt", optimizer=ADAM, parameters=NAMED)
        assert not trap.exists()
    source = tmp_path / "bad.npz"
    np.savez(source, **{"0": np.array([Harmful(trap)], object)}, allow_pickle=True)
    with pytest.raises(StateError, match="cannot be read as a file of Keras"):
        convert_state(source, tmp_path / "out.ckpt", optimizer=KERAS, parameters=NAMED)
    assert not trap.exists()


@pytest.mark.parametrize("name", ["wrong.ckpt", "wrong.keras", "wrong.h5", "wrong.npz", "wrong.pt"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 and more"])
def test_a_wrong_file(name: str, content: bytes, tmp_path: Path) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    api = {".ckpt": MINDSPORE, ".pt": ADAM}.get(source.suffix, KERAS)
    target = tmp_path / ("out.pt" if api != ADAM else "out.ckpt")
    with pytest.raises(StateError, match=name):
        convert_state(source, target, optimizer=api, to="torch" if api != ADAM else "mindspore", parameters=LAID)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_checkpoints_of_mindspore(tmp_path: Path) -> None:
    import mindspore

    source, given = trained(MINDSPORE, tmp_path / "adam.ckpt"), ("weight=weight", "bias=bias")

    def refused(optimizer: str, path: Path = source) -> str:
        with pytest.raises(StateError) as caught:
            convert_state(path, tmp_path / "out.pt", optimizer=optimizer, to="torch", parameters=given)
        return str(caught.value)

    def changed(name: str, value: Any) -> Path:
        content = [
            {"name": key, "data": item} for key, item in mindspore.load_checkpoint(str(source)).items() if key != name
        ]
        if value is not None:
            content.append({"name": name, "data": mindspore.Tensor(np.array(value, np.float32))})
        mindspore.save_checkpoint(content, str(tmp_path / "changed.ckpt"))
        return tmp_path / "changed.ckpt"

    assert "holds no state of mindspore.nn.AdamWeightDecay" in refused("mindspore.nn.AdamWeightDecay")
    assert (
        "beta2_power is 0.998001, but mindspore.nn.Adam with these hyperparameters and 2 steps has 0.9801"
        in refused(f"{MINDSPORE}(beta2=0.99)")
    )
    assert "vhat" in refused(f"{MINDSPORE}(use_amsgrad=True)")
    assert "the file has no moment2.bias" in refused(MINDSPORE, changed("moment2.bias", None))
    assert "the shape" in refused(MINDSPORE, changed("moment2.bias", [0.0, 0.0]))
    assert "a schedule of learning rates" in refused(MINDSPORE, changed("learning_rate", [0.1, 0.2]))
    assert "the file has learning_rate=0.001, but the call says 0.5" in refused(f"{MINDSPORE}(learning_rate=0.5)")
    assert "convert each group by itself" in refused(MINDSPORE, changed("learning_rate_group_0", 0.1))
    made = convert_state(source, tmp_path / "named.pt", optimizer=MINDSPORE, to="torch", in_order=True)
    assert made.parameters == ("weight", "bias")


def test_a_learning_rate_that_no_file_has_must_be_stated(tmp_path: Path) -> None:
    api = "mindspore.experimental.optim.RMSprop"
    source, given = trained(api, tmp_path / "state.ckpt", lr=0.5, momentum=0.9), ("weight=weight:same", "bias=bias")
    with pytest.raises(StateError, match=r"the file does not say what lr is: write .*RMSprop\(lr=\.\.\.\)"):
        convert_state(
            source, tmp_path / "out.npz", optimizer=f"{api}(momentum=0.9)", to="tensorflow", parameters=given, steps=2
        )
    made = convert_state(
        source,
        tmp_path / "out.npz",
        optimizer=f"{api}(lr=0.5, momentum=0.9)",
        to="tensorflow",
        parameters=given,
        steps=2,
    )
    assert made.arguments["learning_rate"] == 0.5


@pytest.mark.parametrize(
    ("saved", "named"),
    [
        ("mindspore.nn.SGD(momentum=0.9)", "mindspore.nn.Adagrad"), ("mindspore.nn.Adadelta()", "mindspore.nn.Adagrad"),
        ("mindspore.nn.FTRL()", "mindspore.nn.Momentum(momentum=0.9)"), ("mindspore.nn.SGD(momentum=0.9)", "mindspore.nn.SGD"),
        ("mindspore.nn.RMSProp(momentum=0.9)", "mindspore.nn.RMSProp"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_class_or_call(saved: str, named: str, tmp_path: Path) -> None:
    call = stated_call(load(), saved)
    source = trained(call.api.name, tmp_path / "state.ckpt", **dict(call.given, learning_rate=0.1))  # type: ignore[arg-type]
    with pytest.raises(StateError, match=r"another class has saved it|counts only with momentum"):
        convert_state(source, tmp_path / "out.pt", optimizer=named, to="torch", in_order=True)


def test_files_of_keras(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(optimizer=keras.optimizers.Adam(0.25, beta_1=0.5), loss="mse")
    model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    content: dict[str, Any] = {}
    model.optimizer.save_own_variables(content)
    np.savez(tmp_path / "own.npz", **content)
    for name in ("whole.keras", "weights.weights.h5", "legacy.h5"):
        (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    given, call = ("0=weight:transpose", "1=bias"), f"{KERAS}(beta_1=0.5)"
    found = []
    for name in ("own.npz", "whole.keras", "weights.weights.h5", "legacy.h5"):
        made = convert_state(tmp_path / name, tmp_path / f"{name}.ckpt", optimizer=call, parameters=given)
        assert made.arguments["learning_rate"] == 0.25
        found.append((tmp_path / f"{name}.ckpt").read_bytes())
    assert len(set(found)) == 1

    def refused(path: Path, optimizer: str = call, parameters: Any = given) -> str:
        with pytest.raises(StateError) as caught:
            convert_state(path, tmp_path / "out.ckpt", optimizer=optimizer, parameters=parameters)
        return str(caught.value)

    own = tmp_path / "own.npz"
    assert "has no names of parameters" in refused(own, parameters=None)
    assert "holds 6 variables, but this call of tf.keras.optimizers.Adam has 8 for 2" in refused(
        own, f"{KERAS}(amsgrad=True)"
    )
    assert "holds 6 variables, but this call of tf.keras.optimizers.Adam has 8 for 3" in refused(
        own, parameters=(*given, "2=other")
    )
    assert "also stores" in refused(trained(KERAS, tmp_path / "ema.npz", use_ema=True), f"{KERAS}(use_ema=True)")
    old = tmp_path / "old.keras"
    with zipfile.ZipFile(tmp_path / "whole.keras") as archive, zipfile.ZipFile(old, "w") as other:
        other.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        other.writestr("model.weights.h5", archive.read("model.weights.h5"))
    for name in ("whole.keras", "legacy.h5"):
        assert "the file has beta_1=0.5, but the call says 0.9" in refused(tmp_path / name, f"{KERAS}(beta_1=0.9)")
        assert "the file was saved with Adam, not with Nadam" in refused(tmp_path / name, "tf.keras.optimizers.Nadam")
        convert_state(tmp_path / name, tmp_path / f"{name}.ckpt", optimizer=KERAS, parameters=given)
        assert (tmp_path / f"{name}.ckpt").read_bytes() == found[0]
    assert "was saved by Keras 2.15.0; only the state of Keras 3 is read" in refused(old)
    np.savez(tmp_path / "names.npz", kernel=np.ones(3))
    assert "is not what save_own_variables gives: its arrays are kernel" in refused(tmp_path / "names.npz")


def test_a_map(tmp_path: Path) -> None:
    source, map = torch_file(tmp_path), tmp_path / "map.yaml"
    map.write_text("parameters:\n- {from: 1, to: bias}\n- {from: 0, to: dense/kernel, layout: [1, 0]}\n")
    made = convert_state(source, tmp_path / "out.npz", optimizer=ADAM, to="tensorflow", parameters=map)
    assert made.parameters == ("bias", "dense/kernel")
    with np.load(io.BytesIO((tmp_path / "out.npz").read_bytes())) as content:
        assert [content[str(index)].shape for index in range(2, 6)] == [(3,), (3,), (2, 3), (2, 3)]
    map.write_text("parameters:\n- {from: 1, too: bias}\n")
    with pytest.raises(StateError, match=r"map.yaml:2:3: parameter lacks 'to'|map.yaml:2:13"):
        convert_state(source, tmp_path / "out.npz", optimizer=ADAM, to="tensorflow", parameters=map)


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    source = trained(ADAM, tmp_path / "same.ckpt")
    before = source.read_bytes()
    with pytest.raises(StateError, match="is the source itself"):
        convert_state(source, source, optimizer=ADAM, parameters=NAMED)
    assert source.read_bytes() == before
    with pytest.raises(StateError, match="cannot be written"):
        convert_state(source, tmp_path / "same.ckpt" / "below.ckpt", optimizer=ADAM, parameters=NAMED)
    with pytest.raises(StateError, match="there is no file"):
        convert_state(tmp_path / "none.pt", tmp_path / "out.ckpt", optimizer=ADAM, parameters=NAMED)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # with processes of its own
    source, target = torch_file(tmp_path), tmp_path / "adam.ckpt"
    named = [part for item in NAMED for part in ("--parameter", item)]
    done = run("convert-state", str(source), str(target), "--from", ADAM, *named, cwd=tmp_path)
    assert done.code == 0, done.err
    text = done.out.decode()
    assert "mindspore.nn.Adam(learning_rate=0.001, beta1=0.9, beta2=0.999, eps=1e-08" in text
    assert "mindspore.load_param_into_net(optimizer, mindspore.load_checkpoint(" in text
    assert "after 2 steps" in text
    assert target.stat().st_size > 100
    refused = run("convert-state", "none.pt", "out.ckpt", "--from", ADAM, cwd=tmp_path)
    assert (refused.code, refused.err) == (2, "optmap: error: there is no file none.pt\n")
    refused = run("convert-state", str(source), "out.ckpt", "--from", "torch.optim.LBFGS", cwd=tmp_path)
    assert (refused.code, refused.err) == (
        1,
        "optmap: error: the tables do not describe the state of torch.optim.LBFGS\n",
    )
    assert (
        run("convert-state", str(source), str(target), "--from", ADAM, "--map", "a.yaml", *named, cwd=tmp_path).code
        == 2
    )


def test_a_framework_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(files.STATE_MODULES, "torch", "no_such_state")  # type: ignore[attr-defined]
    source = tmp_path / "adam.pt"
    source.write_bytes(b"")
    with pytest.raises(
        StateError, match="torch cannot be imported: ModuleNotFoundError: No module named 'no_such_state'; pip"
    ):
        convert_state(source, tmp_path / "out.ckpt", optimizer=ADAM, parameters=NAMED)
