"""The compiled form of the tables says what the tables say, and is never used for others."""

from __future__ import annotations

from optmap.mapping import compiled
from optmap.mapping.load import default_directory, load, load_files, own_files


def test_it_is_fresh() -> None:
    """Run scripts/generate.py after changing a table."""
    contents = own_files()
    text = compiled.dump(load_files(contents), compiled.digest(contents))
    assert default_directory().joinpath(compiled.NAME).read_text(encoding="utf-8") == text


def test_it_reads_back_equal() -> None:
    contents = own_files()
    tables = load_files(contents)
    back = compiled.load(compiled.dump(tables, "x").encode(), "x")
    assert back == tables
    assert list(back.apis) == list(tables.apis)
    assert back.apis["torch.optim.SGD"].by_name["lr"].default == 0.001
    assert back.apis["mindspore.nn.Momentum"].by_name["momentum"].required
    assert load() == tables


def test_it_is_not_used_for_other_tables() -> None:
    contents = own_files()
    text = compiled.dump(load_files(contents), compiled.digest(contents)).encode()
    name, data = contents[0]
    assert compiled.load(text, compiled.digest([(name, data + b"\n"), *contents[1:]])) is None
    assert compiled.digest([("a", b"bc")]) != compiled.digest([("ab", b"c")])
