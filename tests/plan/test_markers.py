"""Markers as values: each argument that is not understood is refused with what would be right."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.load.conditions import LoadConditions
from pytest_parallel_energy.mutation.draw import Draw
from pytest_parallel_energy.plan.markers import LoadRequest, MutateMark, WorkloadMark


def mark(*args, **kwargs):
    return SimpleNamespace(args=args, kwargs=kwargs)


def test_the_workload_marker():
    """The profile is apart; every other keyword is a fixed hyperparameter."""
    found = WorkloadMark.from_mark(mark("toy/net", profile="quick", epochs=3, name="x"))
    assert found == WorkloadMark(name="toy/net", profile="quick", fixed={"epochs": 3, "name": "x"})


def test_the_mutate_marker():
    """Names draw registered ranges, keywords of the draw are its own, and all others are spaces."""
    found = MutateMark.from_mark(mark("lr", samples=5, seed=7, vary="one-at-a-time", default=True, batch_size=[16, 32]))
    assert found.draw == Draw(samples=5, seed=7, vary="one-at-a-time", include_default=True)
    assert (found.names, found.spaces) == (("lr",), {"batch_size": [16, 32]})


def test_the_background_load_marker():
    """Number, profile and conditions are apart; every other keyword is a hyperparameter."""
    found = LoadRequest.from_mark(mark("toy/net", n=2, profile="quick", intensity=0.5, batch_size="auto", epochs=1))
    assert (found.name, found.n, found.profile, found.hyperparameters) == ("toy/net", 2, "quick", {"epochs": 1})
    assert found.conditions == LoadConditions(intensity=0.5, auto_batch=True)


@pytest.mark.parametrize("kind", [WorkloadMark, MutateMark, LoadRequest])
def test_a_value_of_an_experiment_file_is_taken_as_it_is(kind):
    """Experiment files put finished values into the markers of their tests."""
    value = {
        WorkloadMark: WorkloadMark(name="toy/net", fixed={"profile": "a hyperparameter of this name"}),
        MutateMark: MutateMark(draw=Draw(samples=3), spaces={"seed": [1, 2]}),
        LoadRequest: LoadRequest.of(["true"], {"grace": 1}),
    }[kind]
    assert kind.from_mark(mark(value)) is value


ONE_NAME = 'takes one name, "repository/model"'


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (WorkloadMark, mark(), f"the marker 'workload' {ONE_NAME}; it has ()"),
        (WorkloadMark, mark("a/b", "c/d"), f"the marker 'workload' {ONE_NAME}; it has ('a/b', 'c/d')"),
        (WorkloadMark, mark(3), f"{ONE_NAME}; it has (3,)"),
        (WorkloadMark, mark(""), f"{ONE_NAME}; it has ('',)"),
        (MutateMark, mark(), "the marker 'mutate' names nothing to mutate; write mutate('learning_rate')"),
        (MutateMark, mark(samples=3), "the marker 'mutate' names nothing to mutate"),
        (MutateMark, mark(["lr"]), "the marker 'mutate' takes names of hyperparameters; it has (['lr'],)"),
        (MutateMark, mark("lr", samples=0), "samples must be a whole number from 1 to"),
        (MutateMark, mark("lr", samples=2.0), "samples must be a whole number from 1 to"),
        (MutateMark, mark("lr", seed="7"), "seed must be a whole number, not '7'"),
        (MutateMark, mark("lr", vary="some"), "vary must be 'all' or 'one-at-a-time', not 'some'"),
        (MutateMark, mark("lr", default="yes"), "default must be True or False, not 'yes'"),
        (LoadRequest, mark(), f"the marker 'background_load' {ONE_NAME} or a command as a list of words; it has ()"),
        (LoadRequest, mark("a/b", "c/d"), "or a command as a list of words; it has ('a/b', 'c/d')"),
        (LoadRequest, mark("a/b", n=0), "background_load(n=0): n is a whole number of 1 or more"),
        (LoadRequest, mark("a/b", intensity=2), "background_load(intensity=2): a share above 0, up to 1"),
        (LoadRequest, mark("a/b", ready="soon"), "background_load(ready='soon'): readiness cannot be 'soon'"),
        (LoadRequest, mark("a/b", intensity=0.5, target_gpu_utilisation=60), "not both"),
        (
            LoadRequest,
            mark([]),
            "a command as background load is a list of words, the program first; the list is empty",
        ),
        (LoadRequest, mark(["true"], epochs=3), "a command as background load takes no 'epochs'; known:"),
        (LoadRequest, mark(["true"], profile="quick"), "a command as background load takes no 'profile'"),
        (LoadRequest, mark(["true"], batch_size="auto"), "does not know the batch size of a command"),
    ],
)
def test_a_marker_that_is_wrong_is_refused(kind, given, words):
    """The message has the marker, the value, and what would be right."""
    with pytest.raises(ConfigError) as refused:
        kind.from_mark(given)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("given", "name", "n"),
    [
        ("toy/net", "toy/net", 1),
        (["python", "busy.py"], "busy.py", 1),
        ({"name": "toy/net", "n": 2}, "toy/net", 2),
        ({"command": ["./busy.sh"], "grace": 1}, "busy.sh", 1),
    ],
)
def test_a_load_as_a_parameter(given, name, n):
    """``parametrize(…, indirect=True)`` takes a name, a command, or a mapping with either of them."""
    load = LoadRequest.from_parameter(given)
    assert (load.name, load.n) == (name, n)


@pytest.mark.parametrize("given", [3, "", {}, {"n": 2}, {"name": ""}])
def test_a_parameter_that_is_not_a_load_is_refused(given):
    """The message shows all forms and the value."""
    with pytest.raises(ConfigError, match="takes None, 'repository/model', a command as a list of words, or a mapping"):
        LoadRequest.from_parameter(given)
