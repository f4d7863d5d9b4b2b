"""A bounded sample of the differential harness, and the faults that are known; the long run is `python -m tests.differential`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from random import Random

import numpy as np
import pytest

from tests.differential.judge import Verdict, distance, judge, translated
from tests.differential.kinds import FRAMEWORKS, KINDS, programs
from tests.differential.known import covered, mended, read
from tests.differential.outcome import Job
from tests.differential.pool import Pool
from tests.differential.reduce import cause

SAMPLE = 100
"""Programs in the sample; about a minute of one core."""
SEED = 2026


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    for name in FRAMEWORKS:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    with Pool() as found:
        yield found


def test_a_sample_of_programs_is_equal_refused_or_warned_about(pool: Pool) -> None:
    faults = read()
    failed, verdicts = [], []
    for number, program in programs(SEED, SAMPLE, KINDS):
        for direction in KINDS[program.kind].directions:
            judgement = judge(program, direction, pool)
            verdicts.append(judgement.verdict)
            if judgement.verdict is Verdict.FAILED and not covered(faults, program, direction):
                parts = " ".join(cause(program, KINDS[program.kind].grammar.SLOTS))
                failed.append(f"{number} {direction} {judgement.kind} [{parts}] {judgement.detail}")
    assert not failed, "\n".join(failed)
    assert verdicts.count(Verdict.EQUAL) > len(verdicts) / 5, "ordinary programs are still translated"
    assert verdicts.count(Verdict.INVALID) < len(verdicts) / 10


def test_known_faults_still_show(pool: Pool) -> None:
    """A fault that is mended loses its entry in known.yaml: `python -m tests.differential --renew`."""
    gone = mended(pool)
    assert not gone, "\n".join(f"{fault.fault}: {parts}" for fault, parts in gone.items())


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_changed_number_is_noticed(kind: str, pool: Pool) -> None:
    """The comparison can fail: the neutral program, translated with another learning rate, is not equal."""
    grammar, _, directions = KINDS[kind]
    program = next(iter(grammar.alone()))
    for direction in directions:
        assert judge(program, direction, pool).verdict is Verdict.EQUAL
        output = translated(program, direction).output.decode()
        assert output.count("=0.1)") == 1, output
        replay = program.source if program.replay else None
        before = pool.run(direction.source, Job(program.text, program.task, replay=replay))
        after = pool.run(direction.target, Job(output.replace("=0.1)", "=0.1001)"), program.task, replay=replay))
        assert after.error is None, after.error
        assert 1e-5 < distance(before, after)[0] < np.inf


def test_a_seed_gives_the_same_programs() -> None:
    one, two = (list(programs(3, 20, KINDS)) for _ in range(2))
    assert one == two
    assert len({program.text for _, program in one}) > 10


@pytest.mark.parametrize("kind", list(KINDS))
def test_generated_programs_are_python(kind: str) -> None:
    for seed in range(100):
        compile(KINDS[kind].grammar.generate(Random(seed)).text, "program", "exec")
