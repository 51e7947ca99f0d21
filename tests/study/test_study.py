"""Experiment files: each variant that real files use is run as meant, everything else is refused by name."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.mutation.distributions import Choice, Grid, IntUniform, LogUniform, Uniform
from pytest_parallel_energy.study.experiment_file import read_study

TINY = {"repo": "tiny", "model": "logistic"}
BESIDE = {"repository": "tiny", "model": "linear"}
RATE = LogUniform(0.05, 5.0)
EPOCHS = IntUniform(10, 30)
ALL = {"epochs": EPOCHS, "learning_rate": RATE}


def test_the_template(entry):
    """The template of the documentation: two mutations of the learning rate beside a load with one epoch."""
    one = entry(
        {
            "mode": "parallel",
            "foreground": {**TINY, "mode": "mutation", "mutate": ["learning_rate"]},
            "background": {**BESIDE, "hyperparameters": {"epochs": 1}},
        },
        experiment_name="template", mode="parallel", governor="performance", runs_per_config=2, max_retries=2,
    )  # fmt: skip
    assert one.workload == "tiny/logistic"
    assert one.space == {"learning_rate": RATE}
    assert (one.draw.samples, one.draw.seed, one.repeats) == (2, 0, None)
    assert [(load.name, load.hyperparameters) for load in one.loads] == [("tiny/linear", {"epochs": 1})]
    assert (one.governor, one.max_retries) == ("performance", 2)
    assert one.name == "logistic_beside_linear"


def test_a_list_at_the_top(study):
    """A list of entries is a study of its own, named after its file."""
    read = study([TINY, {**TINY, "mode": "default"}])
    assert read.name == "study"
    assert [one.name for one in read.entries] == ["logistic", "logistic_2"]
    assert [bool(one.space) for one in read.entries] == [True, False]


@pytest.mark.parametrize(
    ("one", "top", "space"),
    [
        ({}, {}, ALL),
        ({"mode": "mutation"}, {"mode": "default"}, ALL),
        ({"mode": "default"}, {"mode": "mutation"}, {}),
        ({}, {"mode": "default"}, {}),
        ({}, {"mode": "mutation"}, ALL),
        ({"mutate": ["epochs"]}, {"mode": "batch"}, {"epochs": EPOCHS}),
        ({"mutate": ["epochs"]}, {"mode": "mixed"}, {"epochs": EPOCHS}),
        ({"mode": "nonparallel", "mutate": "all"}, {}, ALL),
        ({"mode": "batch", "mutate": ["all"]}, {}, ALL),
        ({"mutate": "epochs"}, {}, {"epochs": EPOCHS}),
        ({"mutate_params": ["learning_rate"]}, {}, {"learning_rate": RATE}),
        ({"mutate_params": {"learning_rate": {}}}, {}, {"learning_rate": RATE}),
        ({"mutate_params": {"learning_rate": None}}, {}, {"learning_rate": RATE}),
        ({"hyperparameters": {"epochs": 3}}, {}, {}),
        ({"fixed_hyperparams": {"epochs": 3}}, {}, {}),
        ({"fixed_hyperparams": {"epochs": 3}, "mode": "mutation"}, {}, {"learning_rate": RATE}),
        ({"hyperparameters": {"epochs": 3}, "mutate": ["learning_rate"]}, {}, {"learning_rate": RATE}),
        ({"mutation_type": "default"}, {}, {}),
        ({"mutate": "all", "mode": None}, {"global_settings": {"mode": "default"}}, ALL),
    ],
)
def test_what_is_mutated(entry, one, top, space):
    """Modes at every level, both names of what to mutate and of what is fixed, and nothing at all."""
    assert entry({**TINY, **one}, **top).space == space


def test_ranges_of_its_own(entry):
    """mutate_params as an object: ranges with a distribution, choices and plain lists, in the type of each value."""
    one = entry({**TINY, "mutate_params": {
        "epochs": {"min": 1, "max": 5},
        "learning_rate": {"min": 1e-4, "max": 1e-1, "distribution": "log_uniform", "zero_probability": 0.1},
        "seed": {"min": 1, "max": 9, "distribution": "int_uniform"},
        "tag": {"values": ["a", "b"], "distribution": "choice"},
        "shuffle": [True, False],
    }})  # fmt: skip
    assert one.space == {
        "epochs": IntUniform(1, 5),
        "learning_rate": LogUniform(1e-4, 1e-1, 0.1),
        "seed": IntUniform(1, 9),
        "tag": Choice(("a", "b")),
        "shuffle": Grid((True, False)),
    }
    assert entry({**TINY, "mutate_params": {"learning_rate": {"min": 0.1, "max": 0.2}}}).space == {
        "learning_rate": Uniform(0.1, 0.2)
    }
    both = {"mutate": ["epochs", "learning_rate"], "mutate_params": {"epochs": {"min": 2, "max": 3}}}
    assert entry({**TINY, **both}).space == {"epochs": IntUniform(2, 3), "learning_rate": RATE}


@pytest.mark.parametrize(
    ("levels", "runs"),
    [
        (({}, {}, {}, {}), 1),
        (({}, {}, {}, {"runs_per_config": 2}), 2),
        (({}, {}, {"runs_per_config": 3}, {"runs_per_config": 2}), 3),
        (({}, {"runs_per_config": 4}, {"runs_per_config": 3}, {"runs_per_config": 2}), 4),
        (({"runs_per_config": 5}, {"runs_per_config": 4}, {"runs_per_config": 3}, {"runs_per_config": 2}), 5),
    ],
)
def test_the_nearest_runs_per_config_counts(entry, levels, runs):
    """Entry, then foreground, then global_settings, then top: mutations when mutating, repetitions when not."""
    at_entry, front, around, top = levels
    mutated = {"foreground": {**TINY, "mutate": ["learning_rate"], **front}, "background": BESIDE, **at_entry}
    read = entry(mutated, global_settings=around, **top)
    assert (read.draw.samples, read.repeats) == (runs, None)
    default = {"foreground": {**TINY, "mode": "default", **front}, "background": BESIDE, **at_entry}
    assert entry(default, global_settings=around, **top).repeats == (None if levels == ({},) * 4 else runs)


def test_num_mutations_makes_runs_repetitions(entry):
    """Where both are given, each of so many mutations runs so many times."""
    one = entry({**TINY, "mutate": ["learning_rate"], "num_mutations": 7, "runs_per_config": 3})
    assert (one.draw.samples, one.repeats) == (7, 3)


def test_baseline_runs_add_the_un_mutated_cell(study):
    """A baseline is an experiment of its own, first, repeated as often as it says."""
    baseline, mutated = study([{**TINY, "mutate": ["learning_rate"], "baseline_runs": 3}]).entries
    assert (baseline.name, baseline.space, baseline.repeats) == ("logistic_baseline", {}, 3)
    assert mutated.space == {"learning_rate": RATE}


def test_strategies(entry):
    """One at a time, and a bounded number of parameters a mutation."""
    assert entry({**TINY, "mutate_strategy": "one-at-a-time"}).draw.vary == "one-at-a-time"
    assert entry({**TINY, "mutate_strategy": "random"}).draw.vary == "all"
    assert entry({**TINY, "num_params_per_mutation": [1, 2]}).draw.per_mutation == (1, 2)
    assert entry({**TINY, "num_params_per_mutation": 1}).draw.per_mutation == (1, 1)
    assert entry({**TINY, "random_seed": 42}).draw.seed == 42


def test_who_trains_may_stand_at_the_entry(entry):
    """Repo and model of the entry are inherited by the foreground; a placeholder there is ignored."""
    inherited = entry({**TINY, "foreground": {"mode": "default"}, "background": BESIDE})
    assert inherited.workload == "tiny/logistic"
    placeholder = {"repo": "placeholder", "model": "placeholder", "foreground": {**TINY, "mode": "default"}}
    assert entry({**placeholder, "background": BESIDE}).workload == "tiny/logistic"
    assert entry({**TINY, "mode": "default", "background": BESIDE}).loads[0].name == "tiny/linear"


@pytest.mark.parametrize("said", ["mutation_type", "experiment_type"])
def test_a_foreground_and_a_background_are_parallel_whatever_they_are_called(entry, said):
    """Older names of the mode do not matter where both trainings are named."""
    one = entry({said: "parallel_mutation", "foreground": {**TINY, "mutate": ["epochs"]}, "background": BESIDE})
    assert one.loads
    assert one.space == {"epochs": EPOCHS}


def test_backgrounds(entry):
    """Without hyperparameters, with a mode, as a list, and several of one."""
    loads = entry({**TINY, "mode": "default", "background": [BESIDE, {**TINY, "mode": "default", "n": 2}]}).loads
    assert [(load.name, load.hyperparameters, load.n) for load in loads] == [
        ("tiny/linear", {}, 1),
        ("tiny/logistic", {}, 2),
    ]
    assert entry({**TINY, "mode": "default", "background": []}).loads == ()
    assert entry({**TINY, "mode": "nonparallel", "mutate": "all", "background": None}).loads == ()


def test_words_for_people_are_ignored(study):
    """Bookkeeping of any form at the top and in entries, headings between them, and entries of comments alone."""
    read = study(
        """{
        "comment": "one", "comment": "two", "version": "1.0", "created": "2025-01-01", "notes": ["a", {"b": 1}],
        "estimated_duration_hours": 12, "estimated_total": {"runs": 3}, "target_completion": "90 %",
        "_description": {"x": [1]}, "description": "d", "background": "why this file exists",
        "experiments": [
          "=== first ===",
          {"comment": "a heading"},
          {"_comment_1": "x", "notes": "y", "name": "only a title"},
          {"repo": "tiny", "model": "logistic", "comment": "x", "comment": "y", "estimated_runs": 3, "note": "z"}
        ]}"""
    )
    assert [one.workload for one in read.entries] == ["tiny/logistic"]


def test_settings_reach_the_entry(entry):
    """Timeout, retries and profile, from wherever they stand."""
    one = entry({**TINY, "timeout": 90, "profile": "quick"}, max_retries=0)
    assert (one.timeout_s, one.max_retries, one.profile) == (90.0, 0, "quick")
    assert one.space["learning_rate"] == LogUniform(0.4, 0.6)


def test_entries_of_one_kind_draw_different_mutations(study):
    """A second entry of the same workload goes on where the first one stopped; beside a load it repeats the first."""
    alone = {**TINY, "mutate": ["learning_rate"], "runs_per_config": 3}
    entries = study([alone, alone, {**alone, "background": BESIDE}]).entries
    first, second, loaded = ([cell.values["learning_rate"] for cell in one.mutations] for one in entries)
    assert not set(first) & set(second)
    assert loaded == first


def test_entries_that_vary_one_at_a_time_draw_different_mutations(study):
    """Here too the second entry repeats nothing of the first, although each mutation varies one parameter."""
    one = {**TINY, "mutate": ["epochs", "learning_rate"], "mutate_strategy": "one-at-a-time", "runs_per_config": 2}
    first, second = ([cell.label() for cell in entry.mutations] for entry in study([one, one]).entries)
    assert not set(first) & set(second)
    assert len(first) == len(second) == 4


def test_thousands_of_equal_entries(study):
    """Each of 3000 entries draws a value of its own: no draw goes through all earlier ones, and none gives up."""
    entries = study([{**TINY, "mutate": ["learning_rate"]}] * 3000).entries
    assert len({mutation.values["learning_rate"] for entry in entries for mutation in entry.mutations}) == 3000
    assert [entries[0].name, entries[-1].name] == ["logistic", "logistic_3000"]


def test_an_entry_reads_no_sample_of_the_earlier_ones(study, monkeypatch):
    """The number of values drawn for a file grows with its entries, not with their square."""
    drawn = []
    draw = LogUniform.draw
    monkeypatch.setattr(LogUniform, "draw", lambda self, rng: drawn.append(1) or draw(self, rng))
    study([{**TINY, "mutate": ["learning_rate"], "runs_per_config": 3}] * 100)
    assert len(drawn) == 300


def test_history_is_not_drawn_again(study, tmp_path):
    """Values of a CSV, written 10 or 10.000000, are left out of the draws of the same workload and mode."""
    rows = ["repository,model,mode,hyperparam_epochs,hyperparam_learning_rate,training_success"]
    rows += [f"tiny,logistic,nonparallel,{epochs}.000000,,True" for epochs in range(10, 29)]
    rows += ["tiny,logistic,parallel,29,,True", "tiny,linear,nonparallel,30,,True", "tiny,logistic,,30,,False"]
    (tmp_path / "old.csv").write_text("\n".join(rows))
    one = {**TINY, "mutate": ["epochs"], "runs_per_config": 2}
    read = study({"experiments": [one], "use_deduplication": True, "historical_csvs": ["old.csv"]})
    assert sorted(cell.values["epochs"] for cell in read.entries[0].mutations) == [29, 30]
    (note,) = read.history_notes
    assert note == "old.csv: 21 rows read, 1 skipped (1 that did not pass)"
    off = study({"experiments": [one], "global_settings": {"use_deduplication": False}, "historical_csvs": "old.csv"})
    assert off.entries[0].draw.known == frozenset()


def test_history_is_looked_for_beside_the_file_and_then_from_the_root(registry, tmp_path):
    """Files that were written for another folder still find their results; a message names both places."""
    folder, rows = tmp_path / "settings", "repository,model,hyperparam_epochs\ntiny,logistic,{}"
    folder.mkdir()
    file = folder / "study.json"
    file.write_text(json.dumps({"experiments": [{**TINY, "mutate": ["epochs"]}], "historical_csvs": "old.csv"}))
    (tmp_path / "old.csv").write_text(rows.format(11))

    def known():
        (entry,) = read_study(file, registry, root=tmp_path).entries
        return {value for key in entry.draw.known for _, (_, value) in key}

    assert known() == {11}
    (folder / "old.csv").write_text(rows.format(12))
    assert known() == {12}
    (folder / "old.csv").unlink()
    (tmp_path / "old.csv").unlink()
    with pytest.raises(ConfigError) as refused:
        known()
    assert f"there is no such file: neither {folder / 'old.csv'} nor {tmp_path / 'old.csv'}" in str(refused.value)


def test_a_space_too_small_is_noted(study):
    """Fewer mutations than asked for: all there are run, and the study says so; a grid runs as it is written."""
    assert study([{**TINY, "mutate_params": {"epochs": [1, 2]}, "num_mutations": 9}]).notes == ()
    read = study([{**TINY, "mutate_params": {"epochs": {"min": 1, "max": 3}}, "num_mutations": 9}])
    assert "holds 3" in read.notes[0]


TOML = """
experiment_name = "as TOML"
runs_per_config = 2

[[experiments]]
repo = "tiny"
model = "logistic"
mutate = ["learning_rate"]
created = 2025-01-01

[experiments.background]
repo = "tiny"
model = "linear"
"""
YAML = """
experiment_name: as YAML
runs_per_config: 2
experiments:
  - repo: tiny
    model: logistic
    mutate_params: {learning_rate: {min: 1e-3, max: 1e-1, distribution: log_uniform}}
    created: 2025-01-01
"""


def test_other_formats(study):
    """TOML and YAML say the same things; 1e-3 is a number in YAML too."""
    (toml,) = study(TOML, "study.toml").entries
    assert (toml.space, toml.draw.samples, len(toml.loads)) == ({"learning_rate": RATE}, 2, 1)
    read = study(YAML, "study.yaml")
    assert read.name == "as YAML"
    assert read.entries[0].space == {"learning_rate": LogUniform(1e-3, 1e-1)}


def test_includes(study, tmp_path):
    """Entries of included files come first; a circle is named."""
    (tmp_path / "base.json").write_text(json.dumps({"experiments": [{**TINY, "name": "base"}]}))
    read = study({"include": "base.json", "experiments": [{**TINY, "name": "own"}]})
    assert [one.name for one in read.entries] == ["base", "own"]
    (tmp_path / "base.json").write_text('{"include": ["study.json"]}')
    with pytest.raises(ConfigError, match=r"in a circle: .*study\.json -> .*base\.json -> .*study\.json"):
        study({"include": "base.json"})


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, 'has no "experiments"'),
        ([], "holds no experiment"),
        ([{"comment": "x"}], "holds no experiment"),
        (5, "must be an object"),
        ({"experiments": {}}, "study.json:2: experiments: must be a list"),
        ({"experiment": []}, "did you mean 'experiments'"),
        ({"experiments": [], "background": {"repo": "x"}}, '"background" is not a key that is known here'),
        ([[]], "[0]: must be an object"),
        ([{"model": "logistic"}], '[0]: names no "repository"'),
        ([{"repo": "tiny"}], 'names no "model"'),
        ([{"repo": "tinny", "model": "logistic"}], "[0].repo: there is no workload"),
        ([{"repo": "tiny", "model": "logistc"}], "[0].model: tiny has no model \"logistc\"; did you mean 'logistic'"),
        (
            [{**TINY, "mutat": ["epochs"]}],
            "[0].mutat: \"mutat\" is not a key that is known here; did you mean 'mutate'",
        ),
        ([{**TINY, "mutate": ["epoch"]}], "did you mean 'epochs'"),
        ([{**TINY, "mutate": ["tag"]}], "tag has no range"),
        ([{**TINY, "mutate": []}], "names nothing to mutate"),
        ([{**TINY, "mutate": ["all", "epochs"]}], 'says "all" and names others'),
        ([{**TINY, "mode": "default", "mutate": ["epochs"]}], 'the mode is "default"'),
        ([{**TINY, "mode": "mutate"}], "did you mean 'mutation'"),
        ([{**TINY, "mode": "parallel"}], 'has no "background"'),
        ([{**TINY, "mode": "nonparallel", "background": BESIDE}], "take one of them out"),
        ([{**TINY, "background": {**BESIDE, "mode": "mutation"}}], "[0].background.mode: a background load cannot"),
        ([{**TINY, "background": {**BESIDE, "hyperparameters": {"shuffle": True}}}], "no hyperparameter 'shuffle'"),
        ([{**TINY, "background": {"repo": "tiny"}}], '[0].background: names no "model"'),
        ([{**TINY, "repository": "other"}], "say different things"),
        ([{**TINY, "foreground": {"repo": "x"}, "background": BESIDE}], "its foreground"),
        ([{**TINY, "hyperparameters": {"epochs": "3"}}], "[0].hyperparameters.epochs: tiny/logistic: epochs must be a"),
        ([{**TINY, "hyperparameters": {"dropout": 0.5}}], "no hyperparameter 'dropout'"),
        ([{**TINY, "hyperparameters": {"epochs": 3}, "mutate": ["epochs"]}], "fixed in this entry and mutated too"),
        ([{**TINY, "mutate": ["epochs"], "mutate_params": ["learning_rate"]}], "say it once"),
        ([{**TINY, "mutate_params": {"epochs": {"min": 3, "max": 1}}}], "above the upper one"),
        ([{**TINY, "mutate_params": {"epochs": {"min": 1.5, "max": 3}}}], "cannot begin or end at 1.5"),
        ([{**TINY, "mutate_params": {"epochs": {"min": 1}}}], 'lacks "max"'),
        ([{**TINY, "mutate_params": {"epochs": {"mn": 1}}}], "did you mean 'min'"),
        (
            [{**TINY, "mutate_params": {"learning_rate": {"min": 0, "max": 1, "distribution": "log_uniform"}}}],
            "above 0",
        ),
        ([{**TINY, "mutate_params": {"epochs": {"min": 1, "max": 2, "distribution": "normal"}}}], "no distribution"),
        ([{**TINY, "mutate_params": {"epochs": {"values": [1], "min": 1}}}], 'does not go with "values"'),
        ([{**TINY, "mutate_params": {"epochs": [1, 1]}}], "listed twice"),
        ([{**TINY, "mutate_strategy": "some"}], "known: all"),
        ([{**TINY, "num_params_per_mutation": [3, 1]}], "must be [least, most]"),
        ([{**TINY, "runs_per_config": 0}], "from 1 to"),
        ([{**TINY, "runs_per_config": "two"}], 'must be a number, not "two"'),
        ([{**TINY, "timeout": 0}], "above 0 seconds"),
        ([{**TINY, "profile": "quik"}], "did you mean 'quick'"),
        ([{**TINY, "mutation_type": "some"}], "known: batch"),
        ({"experiments": [TINY], "mode": "parallel"}, "so it could mean two things"),
        ({"include": "none.json"}, "study.json:2: include: there is no file"),
        ({"include": ["study.json", "a.txt"]}, "files include each other in a circle"),
        ({"include": "x" * 300}, "include: "),
        ({"experiments": [{**TINY, "mutate": "all"}], "historical_csvs": "none.csv"}, "there is no such file"),
        ({"experiments": [{**TINY, "mutate": "all"}], "historical_csvs": "study.json"}, "is neither a .csv"),
        ('[{"repo": "tiny", "repo": "other"}]', 'the key "repo" is written twice'),
        ('[{"repo": "tiny", "timeout": NaN}]', "NaN is not a number"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(study, tmp_path, document, words):
    """Every other thing: file, place, value and remedy, before anything starts."""
    with pytest.raises(ConfigError) as refused:
        study(document)
    assert str(refused.value).startswith(str(tmp_path / "study.json"))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("rows", "has no column repository"),
        ("repo,model\ntiny,logistic", "has no column hyperparam_*"),
        ("repo,model,hyperparam_x\n" + "x" * 200_000, "is not a table"),
    ],
)
def test_a_history_that_is_no_table_of_results_is_refused(study, tmp_path, content, words):
    """The message names the CSV file and what it lacks, and the place that names it."""
    (tmp_path / "old.csv").write_text(content)
    with pytest.raises(ConfigError) as refused:
        study({"experiments": [{**TINY, "mutate": "all"}], "historical_csvs": "old.csv"})
    assert "historical_csvs" in str(refused.value)
    assert words in str(refused.value)


GOOD = {
    "experiment_name": "x", "mode": "parallel", "runs_per_config": 2, "max_retries": 1, "governor": "performance",
    "global_settings": {"use_deduplication": False, "historical_csvs": []},
    "experiments": [
        {
            "mode": "parallel", "timeout": 5,
            "foreground": {**TINY, "mode": "mutation", "mutate_params": {"epochs": {"min": 1, "max": 5}}},
            "background": [
                {**BESIDE, "hyperparameters": {"epochs": 1}, "n": [1, 2], "intensity": 0.5, "devices": [0], "grace": 1},
                {"command": ["true", "x"], "ready": "started"},
                "tiny/linear",
            ],
        },
        {**TINY, "mode": "mutation", "mutate": ["learning_rate"], "hyperparameters": {"epochs": 3},
         "num_params_per_mutation": [1, 2], "mutate_strategy": "random"},
    ],
}  # fmt: skip


def paths_into(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from paths_into(below, (*path, key))


def step_into(place, step):
    if isinstance(place, dict):
        return place.get(step)
    return place[step] if isinstance(place, list) and isinstance(step, int) and step < len(place) else None


JUNK = st.sampled_from([
    None,
    True,
    0,
    -1,
    1.5,
    10**18,
    1e300,
    "",
    "x",
    "all",
    "default",
    [],
    [1, 2],
    ["x"],
    [[]],
    {},
    {"x": 1},
    [None],
])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([p for p in paths_into(GOOD) if p]), JUNK), min_size=1, max_size=3))
def test_no_document_makes_the_reader_crash(tmp_path_factory, registry, changes):
    """A good file with any of its values replaced by junk is understood or refused by our error."""
    document = json.loads(json.dumps(GOOD))
    for path, junk in changes:
        place = document
        for step in path[:-1]:
            place = step_into(place, step)
        if isinstance(place, dict) or (isinstance(place, list) and path[-1] in range(len(place))):
            place[path[-1]] = copy.deepcopy(junk)  # one that stands in two places would make a circle
    file = tmp_path_factory.mktemp("fuzz") / "any.json"
    file.write_text(json.dumps(document))
    assert_read_or_refused(file, registry)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["experiments", "foreground", "background", "repo", "mode", "mutate", "include"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(ANY, st.sampled_from([".json", ".yaml"]))
def test_no_tree_makes_the_reader_crash(tmp_path_factory, registry, tree, suffix):
    """Any JSON value at all, as JSON and as YAML."""
    file = tmp_path_factory.mktemp("fuzz") / f"any{suffix}"
    file.write_text(json.dumps(tree))
    assert_read_or_refused(file, registry)


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet="{}[]\"':,-&*!|>%@`#\n 0123456789eE.abrepo\t<?=~", max_size=50),
    st.sampled_from([".toml", ".yaml"]),
)
def test_no_text_makes_the_reader_crash(tmp_path_factory, registry, text, suffix):
    """Any text at all, as TOML and as YAML: the parsers' own errors become ours."""
    file = tmp_path_factory.mktemp("fuzz") / f"any{suffix}"
    file.write_text(text)
    assert_read_or_refused(file, registry)


def assert_read_or_refused(file, registry):
    message = str(file)
    try:
        read_study(file, registry)
    except ConfigError as refused:
        message = str(refused)
    assert str(file) in message


BILLION_LAUGHS = "\n".join(
    ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    + [f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]" for below, name in zip("abcdefg", "bcdefgh", strict=True)]
    + ["experiments: []"]
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\nexperiments: []", 'study.yaml:2: a: the key "a" is written twice (lines 1, 2)'),
        ("experiments:\n  - {repo: tiny\n", "is not YAML"),
        ("experiments: &x [*x]", "nested more than"),
        (BILLION_LAUGHS, "holds more than"),
        ("1: x\nexperiments: []", "the key 1 must be a text"),
        ("experiments: [{repo: !!python/object/apply:os.system ['true']}]", "is not YAML"),
        ("x: .nan\nexperiments: []", "not a number that can be used"),
    ],
)
def test_traps_of_yaml(study, text, words):
    """Keys written twice, aliases that loop or explode, keys that are no text, tags that run code."""
    with pytest.raises(ConfigError) as refused:
        study(text, "study.yaml")
    assert words in str(refused.value)
