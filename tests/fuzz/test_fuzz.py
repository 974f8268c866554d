"""The short run: every sample and some thousand mutations for each target. The long ones: `python -m tests.fuzz`."""

from random import Random

import pytest

from tests.fuzz.__main__ import TARGETS, load, run_seeded
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Check, Target


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what it can still read
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_promise(name: str) -> None:
    target = load(name)
    counts = run_seeded(target, seed=20, runs=5000)

    assert set(counts) == {check.name for check in target.checks}


def test_mutations_are_the_same_for_the_same_chance_and_keep_within_their_size() -> None:
    data = b'\x00{"messages":[{"role":"user","content":"What is it?"}],"n":1}'
    made = [[mutated(data, chance, 80) for _ in range(200)] for chance in (Random(3), Random(3))]

    assert made[0] == made[1]
    assert len(set(made[0])) > 150
    assert max(map(len, made[0])) <= 80


def test_what_breaks_is_told_with_its_input() -> None:
    def no_quotes(data: bytes) -> None:
        assert b'"' not in data

    target = Target("odd", [Check("no quotes", no_quotes, [b"a"])])
    with pytest.raises(AssertionError) as found:
        run_seeded(target, seed=1, runs=2000)

    assert found.value.__notes__[0].startswith("odd, no quotes: b'")
