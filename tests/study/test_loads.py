"""Background loads of experiment files: the words and the checks of the marker, and lists of values."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.load.conditions import CONDITIONS, LoadConditions
from pytest_parallel_energy.plan.markers import LoadRequest
from pytest_parallel_energy.processes.rules import Ready
from pytest_parallel_energy.study.experiment_file import read_study
from pytest_parallel_energy.study.keys import BACKGROUND, SWEPT, is_bookkeeping
from pytest_parallel_energy.training.registry import load_registry

TINY = {"repo": "tiny", "model": "logistic", "mode": "default"}
BESIDE = {"repository": "tiny", "model": "linear"}
REFERENCE = Path(__file__).parents[2] / "experiments" / "workloads.json"


def loads(entry, background):
    return entry({**TINY, "background": background}).loads


def rates(entry):
    return [cell.values["learning_rate"] for cell in entry.mutations]


def test_conditions_are_those_of_the_marker(entry):
    """The same words give the same conditions, whoever says them."""
    words = {
        "intensity": 0.5, "gpu_memory_fraction": 0.3, "devices": [0, "GPU-12ab"], "ready": "pattern:epoch 1",
        "ready_timeout": "2 min", "grace": 30,
    }  # fmt: skip
    assert set(words) | {"target_gpu_utilisation"} == set(CONDITIONS)
    (load,) = loads(entry, {**BESIDE, **words, "n": 2, "hyperparameters": {"epochs": 1}})
    mark = LoadRequest.of("tiny/linear", {**words, "epochs": 1}, n=2)
    assert (load.name, load.n, load.hyperparameters, load.conditions) == (
        mark.name,
        mark.n,
        mark.hyperparameters,
        mark.conditions,
    )
    assert loads(entry, {**BESIDE, "target_gpu_utilisation": 60})[0].conditions == LoadConditions(
        target_gpu_utilisation=60.0
    )
    assert loads(entry, {**BESIDE, "intensity": None, "devices": None})[0].conditions == LoadConditions()
    assert loads(entry, {**BESIDE, "devices": []})[0].conditions == LoadConditions(devices="")


def test_each_condition_is_a_key_of_a_load():
    """The keys come from the marker's table, and none of them is taken for words to people."""
    names = {key.name for key in BACKGROUND}
    assert {*CONDITIONS, "n", "profile", "batch_size"} <= names
    assert not any(map(is_bookkeeping, names))
    assert set(SWEPT) <= names


def test_short_forms(entry, tmp_path):
    """A name, a command as words, and objects, alone or in one list; commands run in the file's folder."""
    assert [load.name for load in loads(entry, "tiny/linear")] == ["tiny/linear"]
    named, command, conditioned, other = loads(
        entry, ["tiny/linear", ["sh", "-c", "true"], {"command": ["./busy.sh"], "n": 2}, {"name": "tiny/logistic"}]
    )
    assert (named.name, named.command) == ("tiny/linear", ())
    assert (command.name, command.command, command.cwd) == ("sh", ("sh", "-c", "true"), tmp_path)
    assert (conditioned.name, conditioned.n) == ("busy.sh", 2)
    assert other.name == "tiny/logistic"


def test_an_entry_beside_a_command_is_named_after_its_program(entry):
    """The test's name has no path in it."""
    assert entry({**TINY, "background": [["/opt/x/busy.sh", "1"]]}).name == "logistic_beside_busy_sh"


def test_a_command_has_the_name_that_a_marker_gives_it(entry):
    """What an interpreter runs names the load, in a file as in a marker."""
    words = ["python", "work/busy.py"]
    (load,) = loads(entry, [words])
    assert load.name == LoadRequest.of(words, {}).name == "busy.py"
    assert entry({**TINY, "background": [words]}).name == "logistic_beside_busy_py"


TOML = """
[[experiments]]
repo = "tiny"
model = "logistic"
mode = "default"

[[experiments.background]]
name = "tiny/linear"
intensity = 0.5
ready = "started"

[[experiments.background]]
command = ["sh", "-c", "while :; do :; done"]
grace = "1 min"
"""


def test_tables_of_toml(study):
    """Several loads as tables, each with its own conditions."""
    (one,) = study(TOML, "study.toml").entries
    assert [load.conditions for load in one.loads] == [
        LoadConditions(intensity=0.5, ready=Ready(kind="started")),
        LoadConditions(grace_s=60.0),
    ]


def test_a_batch_that_is_fitted(tmp_path):
    """batch_size "auto" stands at the load, as in the marker, or among its hyperparameters."""
    registry = load_registry([REFERENCE])
    who = {"repo": "examples", "model": "mnist"}
    for given in ({"batch_size": "auto"}, {"hyperparameters": {"batch_size": "auto"}}):
        file = tmp_path / "study.yaml"
        file.write_text(f"experiments: [{ {**who, 'mode': 'default', 'background': {**who, **given}} }]")
        (load,) = read_study(file, registry).entries[0].loads
        assert (load.hyperparameters, load.conditions) == ({}, LoadConditions(auto_batch=True))


def test_listed_values_are_experiments(study):
    """Each combination of the values listed is an experiment of its own, named after them, with the same draws."""
    swept = {**BESIDE, "intensity": [0.25, 1], "n": [1, 2]}
    one = {**TINY, "mode": "mutation", "mutate": ["learning_rate"], "runs_per_config": 3, "baseline_runs": 1}
    read = study([{**one, "background": ["tiny/linear", swept]}, one])
    entries = [one for one in read.entries if one.draw]
    assert [one.name.removeprefix("logistic_beside_linear_and_linear_") for one in entries] == [
        "n_1_intensity_0_25",
        "n_1_intensity_1",
        "n_2_intensity_0_25",
        "n_2_intensity_1",
        "logistic",
    ]
    assert [(load.n, load.conditions.intensity) for load in (one.loads[1] for one in entries[:-1])] == [
        (1, 0.25),
        (1, 1.0),
        (2, 0.25),
        (2, 1.0),
    ]
    assert len({tuple(rates(one)) for one in entries}) == 1
    assert [one.name for one in read.entries if not one.draw][:2] == [
        "logistic_beside_linear_and_linear_n_1_intensity_0_25_baseline",
        "logistic_beside_linear_and_linear_n_1_intensity_1_baseline",
    ]


def test_other_conditions_draw_the_same_and_the_same_conditions_others(study):
    """What differs in a load's condition is compared fairly; what differs in nothing goes on with other values."""
    one = {**TINY, "mode": "mutation", "mutate": ["learning_rate"], "runs_per_config": 2}
    half, full = {**BESIDE, "intensity": 0.5}, BESIDE
    entries = study([{**one, "background": background} for background in (half, full, half)]).entries
    first, second, third = map(rates, entries)
    assert first == second
    assert not set(first) & set(third)


@pytest.mark.parametrize(
    ("background", "key", "words"),
    [
        ({**BESIDE, "intensity": 2}, ".intensity", "background_load(intensity=2): a share above 0, up to 1"),
        ({**BESIDE, "intensity": "half"}, ".intensity", "a share above 0, up to 1; it is a number, not 'half'"),
        ({**BESIDE, "target_gpu_utilisation": 0}, ".target_gpu_utilisation", "above 0 %, up to 100 %"),
        ({**BESIDE, "target_gpu_utilization": 60}, "", "did you mean 'target_gpu_utilisation'"),
        ({**BESIDE, "gpu_memory_fraction": 0}, ".gpu_memory_fraction", "a share above 0, up to 1"),
        ({**BESIDE, "devices": "gpu0"}, ".devices", "background_load(devices='gpu0'): 'gpu0' names no GPU: write"),
        ({**BESIDE, "devices": 1.5}, ".devices", "it is an index, a UUID, or a list of them, not 1.5"),
        ({**BESIDE, "ready": "soon"}, ".ready", "readiness cannot be 'soon'; it is 'auto', 'started', 'pattern:REGEX'"),
        ({**BESIDE, "ready_timeout": 0}, ".ready_timeout", "background_load(ready_timeout=0): a time above 0"),
        ({**BESIDE, "grace": -1}, ".grace", "background_load(grace=-1): a time of 0 or more"),
        ({**BESIDE, "grace": "soon"}, ".grace", "'soon' is not a time such as '60'"),
        ({**BESIDE, "n": 0}, ".n", "background_load(n=0): n is a whole number of 1 or more"),
        ({**BESIDE, "intensty": 0.5}, ".intensty", "did you mean 'intensity'"),
        ({**BESIDE, "intensity": 0.5, "target_gpu_utilisation": 60}, "", "an intensity or a target_gpu_utilisation"),
        ({**BESIDE, "batch_size": 32}, ".batch_size", 'is "auto", not 32; write a size of your own in'),
        ({**BESIDE, "batch_size": "auto"}, ".batch_size", "tiny/linear has no hyperparameter batch_size"),
        (
            {**BESIDE, "batch_size": "auto", "hyperparameters": {"batch_size": 1}},
            ".hyperparameters.batch_size",
            "keep one",
        ),
        ({**BESIDE, "intensity": []}, ".intensity", "lists no value"),
        ({**BESIDE, "intensity": [0.5, 0]}, ".intensity[1]", "background_load(intensity=0): a share above 0, up to 1"),
        ({**BESIDE, "intensity": [0.5, 0.5]}, ".intensity[1]", "0.5 is listed twice"),
        ({**BESIDE, "n": list(range(1, 10_002))}, "", "lists values for more than 10000 experiments"),
        ({**BESIDE, "grace": [1, 2]}, ".grace", "it is not swept; a list of values can be given for n, intensity"),
        ({**BESIDE, "hyperparameters": {"epochs": [1, 2]}}, ".hyperparameters.epochs", "must be a single value"),
        ({**BESIDE, "mutate": ["epochs"]}, ".mutate", "of a background load are not mutated: the load is part"),
        ({**BESIDE, "profile": "quik"}, ".profile", "did you mean 'quick'"),
        ({**BESIDE, "name": "tiny/linear"}, ".repository", 'together with "name": "tiny/linear"; keep one of them'),
        ("tiny/liner", "", "there is no workload \"tiny/liner\"; did you mean 'tiny/linear'"),
        (["python", "busy.py"], "[0]", 'a command is written {"command": ["program", "argument"]}, or as such a list'),
        ([[]], "[0]", "a command as background load is a list of words, the program first; the list is empty"),
        ({"command": "python x.py"}, ".command", "must be a list"),
        ({"command": ["sleep", 5]}, ".command[1]", "a word of a command must be a text, not 5; put it in quotes"),
        ({"command": ["true"], "model": "x"}, ".model", "a command as background load takes no 'model'; known:"),
        ({"command": ["true"], "batch_size": "auto"}, ".batch_size", "does not know the batch size of a command"),
        (5, "", 'a background load cannot be 5; write "repository/model"'),
    ],
)  # fmt: skip
def test_what_a_load_cannot_be_is_refused_by_name(study, tmp_path, background, key, words):
    """File, entry, key, what was wrong and what is allowed; nothing of the file runs."""
    with pytest.raises(ConfigError) as refused:
        study([{**TINY, "background": background}])
    message = str(refused.value)
    assert message.startswith(str(tmp_path / "study.json"))
    assert f" [0].background{key}" in message
    assert words in message


@pytest.mark.parametrize("background", ["tiny/linear", [BESIDE], {"command": ["true"]}, {"name": "tiny/linear"}])
def test_a_load_at_the_top_is_not_taken_for_words(study, background):
    """Files explain themselves under this key at the top; what names a load there is refused instead of ignored."""
    with pytest.raises(ConfigError, match='"background" is not a key that is known here'):
        study({"background": background, "experiments": [TINY]})
