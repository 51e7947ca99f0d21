"""Translation of experiment files: each variant in use becomes the same form, and its values keep their place."""

from __future__ import annotations

import json

import pytest

from pytest_parallel_energy.documents.readers import read_json
from pytest_parallel_energy.errors import ConfigError
from pytest_parallel_energy.study.dialects import Translator
from pytest_parallel_energy.study.keys import STRATEGIES, is_bookkeeping

WORKLOADS = ("tiny/logistic", "tiny/linear")
TINY = {"repo": "tiny", "model": "logistic"}
BESIDE = {"repository": "tiny", "model": "linear"}


@pytest.fixture
def translate(tmp_path):
    """Write a document to a file and translate it."""

    def translate(document, *, strict=False):
        file = tmp_path / "study.json"
        file.write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
        return Translator(WORKLOADS, strict=strict).study(read_json(file, ignored=is_bookkeeping))

    return translate


@pytest.fixture
def form(translate):
    """Translate an entry, with settings at the top."""

    def form(entry, **top):
        (found,) = translate({**top, "experiments": [entry]}).entries
        return found

    return form


def plain(fields):
    return {name: node.value for name, node in fields.items()}


FORM = {"repository": "tiny", "model": "logistic", "mutate": ["epochs"], "samples": 2}


@pytest.mark.parametrize(
    ("entry", "top"),
    [
        ({**TINY, "mutate": ["epochs"], "runs_per_config": 2}, {}),
        ({"repository": "tiny", "model": "logistic", "mutate": ["epochs"], "num_mutations": 2}, {}),
        ({**TINY, "mode": "mutation", "mutate": ["epochs"]}, {"runs_per_config": 2}),
        ({"foreground": {**TINY, "mutate": ["epochs"]}}, {"global_settings": {"runs_per_config": 2}}),
        ({**TINY, "foreground": {"mode": "mutation", "mutate": ["epochs"], "runs_per_config": 2}}, {"mode": "default"}),
        (
            {"repo": "placeholder", "model": "placeholder", "foreground": {**TINY, "mutate": ["epochs"]}},
            {"runs_per_config": 9, "global_settings": {"runs_per_config": 2}},
        ),
    ],
)
def test_variants_of_one_entry_are_one_form(form, entry, top):
    """Keys of all versions, and settings at all levels."""
    found = form(entry, **top)
    assert plain(found.fields) == FORM
    assert (found.mutates, found.vary, found.loads, found.notes) == (True, "all", (), ())


def test_values_keep_their_place(form):
    """A refusal can name the line and the key that the user wrote, whatever the key is called in the form."""
    found = form({"foreground": {**TINY, "mutate": ["epochs"]}}, global_settings={"runs_per_config": 2})
    assert found.fields["samples"].path == ("global_settings", "runs_per_config")
    assert found.fields["repository"].path == ("experiments", 0, "foreground", "repo")
    assert found.trained.path == ("experiments", 0, "foreground")
    with pytest.raises(ConfigError, match=r"study\.json:3: global_settings\.runs_per_config: must be a text, not 2"):
        found.fields["samples"].text()


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        ({"mutate": ["epochs"], "num_mutations": 7, "runs_per_config": 3}, {"samples": 7, "repeats": 3}),
        ({"mutate": ["epochs"], "runs_per_config": 3}, {"samples": 3}),
        ({"mode": "default", "num_mutations": 7, "runs_per_config": 3}, {"repeats": 3}),
        ({"mode": "default"}, {}),
    ],
)
def test_counts(form, entry, counts):
    """``runs_per_config`` counts mutations, unless something else does or nothing is mutated."""
    fields = plain(form({**TINY, **entry}).fields)
    assert {name: fields[name] for name in ("samples", "repeats") if name in fields} == counts
    assert not {"num_mutations", "runs_per_config"} & fields.keys()


@pytest.mark.parametrize("mode", ["parallel", "batch", "mixed"])
def test_a_foreground_whose_mode_says_nothing_about_mutation(form, mode):
    """The values to mutate are not lost because the foreground calls itself parallel, as its entry does."""
    found = form({"mode": "parallel", "foreground": {**TINY, "mode": mode, "mutate": ["epochs"]}, "background": BESIDE})
    assert found.mutates


def test_history_that_is_switched_off_is_left_out(form):
    """``use_deduplication`` and ``historical_csvs`` become one field."""
    entry = {**TINY, "mutate": "all"}
    assert "historical_csvs" in form(entry, historical_csvs="a.csv", use_deduplication=True).fields
    assert "historical_csvs" not in form(entry, historical_csvs="a.csv", use_deduplication=False).fields


@pytest.mark.parametrize(
    ("background", "fields", "hyperparameters"),
    [
        ("tiny/linear", {"name": "tiny/linear"}, {}),
        ([["sh", "-c", "true"]], {"command": ["sh", "-c", "true"]}, {}),
        ({**BESIDE, "mode": "default"}, BESIDE, {}),
        ({**BESIDE, "fixed_hyperparams": {"epochs": 1}}, BESIDE, {"epochs": 1}),
        (
            {**BESIDE, "hyperparameters": {"batch_size": "auto", "epochs": 1}},
            {**BESIDE, "batch_size": "auto"},
            {"epochs": 1},
        ),
        ({**BESIDE, "intensity": 0.5, "n": None}, {**BESIDE, "intensity": 0.5}, {}),
    ],
)
def test_variants_of_a_load(form, background, fields, hyperparameters):
    """A text, a list of words and an object, with the batch size and the hyperparameters at either place."""
    (load,) = form({**TINY, "mode": "default", "background": background}).loads
    assert (plain(load.fields), plain(load.hyperparameters)) == (fields, hyperparameters)


@pytest.mark.parametrize(
    ("written", "vary"),
    [
        ("random_multi_param", "all"),
        ("Random-Multi-Param", "all"),
        ("together", "all"),
        ("one-at-a-time", "one-at-a-time"),
        ("single_param", "one-at-a-time"),
    ],
)
def test_strategies_of_older_tools(form, written, vary):
    """Each name stands for one of the two strategies; the number of parameters is a key of its own."""
    assert form({**TINY, "mutate": "all", "mutation_strategy": written}).vary == vary


def test_an_unknown_strategy_names_the_closest(form):
    """The place, the value, and a strategy that works."""
    with pytest.raises(ConfigError, match=r"\[0\]\.mutate_strategy: .*did you mean 'random_multi_param'\? known: all"):
        form({**TINY, "mutate": "all", "mutate_strategy": "random_multi_params"})
    assert "random_multi_param" in STRATEGIES


NOTES = {"hypothesis": "slower", "owner_team": ["x"], "wave": 3}


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({**NOTES, "experiments": [TINY]}, [("hypothesis",), ("owner_team",), ("wave",)]),
        ([{**TINY, "wave": 3}], [(0, "wave")]),
        ([{"foreground": {**TINY, "wave": 3}}], [(0, "foreground", "wave")]),
        ([{**TINY, "background": {**BESIDE, "wave": 3}}], [(0, "background", "wave")]),
        ({"global_settings": {"wave": 3}, "experiments": [TINY]}, [("global_settings", "wave")]),
        ([{**TINY, "comment": "x", "estimated_hours": 1}], []),
        ({"background": "why this file exists", "experiments": [TINY]}, []),
    ],
)
def test_unknown_keys_far_from_all_known_ones_are_notes(translate, document, places):
    """They are listed with their places at every level; keys that are known to be remarks are not."""
    assert [note.path for note in translate(document).notes] == places


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([{**TINY, "mutat": ["epochs"]}], "did you mean 'mutate'"),
        ([{**TINY, "runs": 5}], "did you mean 'runs_per_config'"),
        ([{**TINY, "retries": 5}], "did you mean 'max_retries'"),
        ([{**TINY, "background": {**BESIDE, "Intensty": 0.5}}], "did you mean 'intensity'"),
        ([{**TINY, "neighbour": {"repo": "tiny", "model": "linear"}}], '[0].neighbour: "neighbour" is not a key'),
        ([{**TINY, "neighbour": ["tiny/linear"]}], '[0].neighbour: "neighbour" is not a key'),
        ({"background": BESIDE, "experiments": [TINY]}, '"background" is not a key that is known here'),
        ([{**TINY, "": 5}], '"" is not a key that is known here'),
    ],
)
def test_misspelt_keys_are_refused(translate, document, words):
    """A key near a known one, and one that names a training, change the experiment: they are not ignored."""
    with pytest.raises(ConfigError) as refused:
        translate(document)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "document", [[{**TINY, "wave": 3}], {"wave": 3, "experiments": [TINY]}, {"background": "x", "experiments": [TINY]}]
)
def test_strict_files_have_no_unknown_keys(translate, document):
    """Under --energy-strict-files every unknown key is refused; remarks under their usual names are not."""
    with pytest.raises(ConfigError, match="is not a key that is known here; known: "):
        translate(document, strict=True)
    assert translate([{**TINY, "comment": "x"}], strict=True).notes == ()


def test_notes_are_one_warning_for_the_user(study):
    """The study lists them once, with their places and the option that refuses them."""
    read = study([{**TINY, "mode": "default", "wave": 3, "hypothesis": "x"}, {**TINY, "mode": "default", "wave": 4}])
    (note,) = read.notes
    assert "unknown keys are ignored as notes: [0].wave, [0].hypothesis, [1].wave; --energy-strict-files" in note


@pytest.mark.parametrize("entry", [{"epochs": 3}, {"background": {**BESIDE, "epochs": 3}}])
def test_a_hyperparameter_at_the_wrong_place_is_not_a_note(study, entry):
    """Its value would be lost; the message says where it belongs."""
    with pytest.raises(ConfigError, match=r'epochs: is a hyperparameter of tiny/.*; write it under "hyperparameters"'):
        study([{**TINY, "mode": "default", **entry}])
