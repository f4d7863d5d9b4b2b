"""Every shipped section against the class that is installed, and what an audit cannot see."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import pytest

from optmap.audit.results import FrameworkAudit
from optmap.audit.run import audit
from optmap.mapping.framework import Framework
from optmap.mapping.load import load, load_schedules
from optmap.mapping.sections import Api

APIS = [*load().apis.values(), *load_schedules().apis.values()]


@cache
def audited(framework: Framework) -> FrameworkAudit:
    """The audit of one framework; the test is skipped where it is not installed."""
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed (optmap[{framework}])")
    found = audit(load(), [framework], schedules=load_schedules()).frameworks[0]
    assert found.failure is None
    return found


@pytest.mark.parametrize("api", APIS, ids=[api.name for api in APIS])
def test_the_section_is_the_live_class(api: Api) -> None:
    assert not [item.message for item in audited(api.framework).differences if item.api == api.name]


@pytest.mark.parametrize("framework", list(Framework))
def test_no_module_has_a_class_that_no_table_knows(framework: Framework) -> None:
    known = {api.name for api in APIS}
    assert not [item.message for item in audited(framework).differences if item.api not in known]


@pytest.mark.parametrize("framework", list(Framework))
def test_the_sections_were_verified_with_what_is_installed(framework: Framework) -> None:
    found = audited(framework)
    assert found.sections == sum(api.framework is framework for api in APIS)
    assert not found.unverified
    assert not found.notes
    assert found.called == found.sections


@pytest.mark.parametrize("framework", list(Framework))
def test_every_framework_has_sections(framework: Framework) -> None:
    assert sum(api.framework is framework for api in APIS) >= 5


@pytest.mark.parametrize("api", APIS, ids=[api.name for api in APIS])
def test_the_import_path_that_is_written_is_the_name_of_the_module(api: Api) -> None:
    """So that the audit, which looks at that path, has looked at the class of this name."""
    first, dot, rest = api.module.name.partition(".")
    assert api.module.paths[0] == {"tf": "tensorflow"}.get(first, first) + dot + rest
