"""What is said where a class has no counterpart: there is something, and every class and function that it names exists."""

from __future__ import annotations

import importlib
import os
import re
from itertools import accumulate
from typing import Any

import pytest

from optmap.mapping.derive import candidates
from optmap.mapping.framework import Framework
from optmap.mapping.load import load
from optmap.mapping.sections import Api

TABLES = load()
APIS = list(TABLES.apis.values())
PACKAGES = {"torch": "torch", "tf": "tensorflow", "mindspore": "mindspore"}
ADVICE = " ".join(
    text or ""
    for api in APIS
    for text in (api.instead, api.deprecated, api.note, TABLES.algorithms[api.algorithm].instead)
)
NAMED = sorted(set(re.findall(r"\b((?:tf|torch|mindspore)(?:\.\w+)+)", ADVICE)))


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_v", "3")


@pytest.mark.parametrize("api", APIS, ids=[api.name for api in APIS])
def test_a_class_without_a_counterpart_says_what_to_do_instead(api: Api) -> None:
    alone = [target for target in Framework if target is not api.framework and not candidates(TABLES, api, target)]
    assert not alone or api.instead or TABLES.algorithms[api.algorithm].instead


def test_much_is_named() -> None:
    assert len(NAMED) > 15


@pytest.mark.parametrize("name", NAMED)
def test_what_advice_names_exists(name: str) -> None:
    first, *rest = name.split(".")
    package = PACKAGES[first]
    found: Any = pytest.importorskip(package, reason=f"{package} is not installed (optmap[{package}])")
    for part, above in zip(rest, accumulate((package, *rest), "{}.{}".format), strict=False):
        if not hasattr(found, part):
            importlib.import_module(f"{above}.{part}")
        found = getattr(found, part)
