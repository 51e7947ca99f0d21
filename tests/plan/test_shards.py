"""Every host computes the same split of a sweep, and takes its own part of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.plan.shards import Shard, parse_shard, shard_of_cells, study_id

TIMES = st.dictionaries(st.text(min_size=1, max_size=5), st.floats(0.01, 1e4), min_size=1, max_size=30)


@given(TIMES, st.integers(1, 8), st.randoms())
def test_each_cell_is_in_one_shard_whatever_the_order(expected_s, count, random):
    """The split does not depend on the order in which a host collected the cells, and neither does the study's id."""
    shuffled = list(expected_s.items())
    random.shuffle(shuffled)
    shards = shard_of_cells(expected_s, count)
    assert shards == shard_of_cells(dict(shuffled), count)
    assert shards.keys() == expected_s.keys()
    assert set(shards.values()) <= set(range(1, count + 1))
    assert study_id(shards, count) == study_id(dict(sorted(shards.items(), reverse=True)), count)


@given(TIMES, st.integers(1, 8))
def test_no_shard_takes_much_longer_than_needed(expected_s, count):
    """Graham's bound holds against the two lower bounds that are known: the longest cell, and the mean."""
    shards = shard_of_cells(expected_s, count)
    total_s = [sum(expected_s[cell] for cell, shard in shards.items() if shard == index + 1) for index in range(count)]
    least_s = max(*expected_s.values(), sum(expected_s.values()) / count)
    assert max(total_s) <= least_s * 2


def test_equal_cells_are_dealt_out_evenly():
    """Without history all cells count the same."""
    shards = shard_of_cells({f"cell-{number}": 1.0 for number in range(10)}, 3)
    sizes = sorted(list(shards.values()).count(shard) for shard in (1, 2, 3))
    assert sizes == [3, 3, 4]


def test_other_cells_or_times_are_another_study():
    """A host that sees other cells, or balances by other times, cannot pass for a shard of the same study."""
    base = {"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0}
    name = study_id(shard_of_cells(base, 2), 2)
    assert name != study_id(shard_of_cells({**base, "e": 1.0}, 2), 2)
    assert name != study_id(shard_of_cells({**base, "d": 9.0}, 2), 2)
    assert name != study_id(shard_of_cells(base, 3), 3)


@pytest.mark.parametrize(
    ("text", "environ", "shard"),
    [
        ("2/5", {}, (2, 5)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "4"}, (1, 4)),
        (
            "auto",
            {
                "SLURM_ARRAY_TASK_ID": "14",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "2",
                "SLURM_ARRAY_TASK_COUNT": "4",
            },
            (3, 4),
        ),
        ("auto", {"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "3"}, (2, 3)),
        ("auto/6", {"JOB_COMPLETION_INDEX": "5"}, (6, 6)),
    ],
)
def test_shards_are_read_from_text_and_environment(text, environ, shard):
    """Slurm arrays may start anywhere and step, GitLab counts from 1, Kubernetes from 0."""
    assert parse_shard(text, environ) == Shard(index=shard[0], count=shard[1])


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        ("0/5", {}, "there is no shard 0 of 5; shards count from 1 to 5"),
        ("6/5", {}, "there is no shard 6 of 5"),
        ("1/0", {}, "at least 1 shard"),
        ("3", {}, "'3' is not a shard; write it as 2/5"),
        ("x/2", {}, "'x/2' is not a shard"),
        ("auto", {}, "none of SLURM_ARRAY_TASK_ID, CI_NODE_INDEX and JOB_COMPLETION_INDEX is set"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "not the number of shards"),
        ("auto/2", {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "3"}, "there are 3 shards, not 2"),
        ("auto/2", {"JOB_COMPLETION_INDEX": "2"}, "there is no shard 3 of 2"),
    ],
)
def test_a_wrong_shard_is_refused_by_name(text, environ, message):
    """The message says the value and what would be right."""
    with pytest.raises(ConfigError, match=message):
        parse_shard(text, environ)
