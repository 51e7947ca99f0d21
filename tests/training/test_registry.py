"""The registry of workloads."""

from __future__ import annotations

import copy
import json
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_parallel_energy.errors import RegistryError
from pytest_parallel_energy.mutation.distributions import Choice, Grid, IntUniform, LogUniform, log_uniform, uniform
from pytest_parallel_energy.training.registry import load_registry

DATA = Path(__file__).parent / "data"
GOOD = json.loads((DATA / "registry.json").read_text())


@pytest.fixture
def folder(tmp_path):
    """A folder with the registry's checkout in it."""
    shutil.copytree(DATA / "tiny", tmp_path / "tiny")
    return tmp_path


def changed(folder, change):
    """The good registry with one change, loaded."""
    document = copy.deepcopy(GOOD)
    change(document["models"]["tiny"])
    return loaded(folder, document)


def loaded(folder, document):
    file = folder / "registry.json"
    file.write_text(json.dumps(document, indent=1))
    return load_registry([file])


def test_the_good_registry_names_its_workloads():
    """One workload a model, called repository/model, in the order of the file."""
    registry = load_registry([DATA / "registry.json"])
    assert registry.names() == ("tiny/logistic", "tiny/linear")
    assert registry.workload("tiny/logistic").path == DATA / "tiny"


def test_a_model_may_have_its_own_defaults_and_lack_a_hyperparameter():
    """model_overrides change the default and range of one model, and null takes a hyperparameter away."""
    registry = load_registry([DATA / "registry.json"])
    assert registry.get("tiny/logistic").values()["learning_rate"] == 0.5
    linear = registry.get("tiny/linear")
    assert linear.values() == {"epochs": 20, "learning_rate": 0.1, "tag": "plain", "seed": 7}
    assert linear.space(["learning_rate"]) == {"learning_rate": LogUniform(0.01, 1.0)}


def test_a_profile_changes_defaults_ranges_and_arguments():
    """The quick profile is laid over the published defaults, its models' own part over that."""
    registry = load_registry([DATA / "registry.json"])
    logistic, linear = (registry.get(f"tiny/{model}") for model in ("logistic", "linear"))
    assert logistic.values("quick") == {**logistic.values(), "epochs": 2}
    assert linear.values("quick")["seed"] == 8
    assert linear.profile("quick").args == ("--points", "100", "--silent")
    assert logistic.space(["learning_rate"], profile="quick") == {"learning_rate": LogUniform(0.4, 0.6)}


def test_fixed_values_are_checked_and_may_leave_the_range():
    """One epoch is fine although mutation draws from ten on; a whole float is a whole number."""
    workload = load_registry([DATA / "registry.json"]).get("tiny/logistic")
    assert workload.values(epochs=1.0)["epochs"] == 1
    assert type(workload.values(epochs=1.0)["epochs"]) is int
    assert type(workload.values(learning_rate=1)["learning_rate"]) is float


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        ({"epoch": 1}, "did you mean 'epochs'"),
        ({"epochs": "1"}, 'epochs must be a whole number, not "1"'),
        ({"epochs": 1.5}, "whole number, not 1.5"),
        ({"epochs": True}, "whole number, not true"),
        ({"epochs": 0}, "from 1 to 1000, not 0"),
        ({"learning_rate": float("nan")}, "finite number, not NaN"),
        ({"learning_rate": 10**400}, "finite number"),
        ({"tag": 5}, "tag must be a text, not 5"),
        ({"shuffle": 1}, "shuffle must be true or false, not 1"),
    ],
)
def test_a_bad_value_is_refused_by_name(fixed, words):
    """Unknown names, wrong types and values outside the limits name the workload and what would be right."""
    workload = load_registry([DATA / "registry.json"]).get("tiny/logistic")
    with pytest.raises(RegistryError, match=words) as caught:
        workload.values(**fixed)
    assert "tiny/logistic" in str(caught.value)


def test_an_unknown_workload_and_profile_are_refused():
    """The message names the files that were read, the nearest name, and all names."""
    registry = load_registry([DATA / "registry.json"])
    with pytest.raises(RegistryError, match=r"registry.json; did you mean 'tiny/logistic'\?"):
        registry.workload("tiny/logistc")
    with pytest.raises(RegistryError, match=r"no profile 'quik' .*did you mean 'quick'\?"):
        registry.get("tiny/linear").values("quik")
    with pytest.raises(RegistryError, match=r"tiny/linear.*--energy-models=FILE or energy_models .* by 'reference'"):
        registry.workload("a/b")


def test_the_reference_workloads_need_no_registry_file(tmp_path):
    """They are there when no registry is named, and beside another one when it is named with 'reference'."""
    assert load_registry([]).workload("pytorch_resnet_cifar10/resnet20").script.endswith(".py")
    both = load_registry([DATA / "registry.json", tmp_path / "reference"]).names()
    assert "tiny/linear" in both
    assert "VulBERTa/mlp" in both
    assert "VulBERTa/mlp" not in load_registry([DATA / "registry.json"]).names()


def test_the_space_is_what_has_a_range():
    """All: every hyperparameter with a range. By name: one without a range is refused with the way out."""
    workload = load_registry([DATA / "registry.json"]).get("tiny/logistic")
    assert workload.space() == {"epochs": IntUniform(10, 30), "learning_rate": LogUniform(0.05, 5.0)}
    with pytest.raises(RegistryError, match=r"seed has no range .*mutate\(seed=uniform\(lo, hi\)\)"):
        workload.space(["seed"])
    with pytest.raises(RegistryError, match="did you mean 'epochs'"):
        workload.space(["epoch"])


def test_a_distribution_given_by_hand_takes_the_type_of_the_hyperparameter():
    """Whole numbers are drawn for a whole-number hyperparameter, and only the named ones are varied."""
    workload = load_registry([DATA / "registry.json"]).get("tiny/logistic")
    space = workload.space(given={"epochs": uniform(1, 5), "seed": log_uniform(1, 1000), "tag": ["a", "b"]})
    assert space == {"epochs": IntUniform(1, 5), "seed": LogUniform(1, 1000, integer=True), "tag": Grid(("a", "b"))}
    for wrong, words in [
        ({"epochs": uniform(1, 5.5)}, "cannot begin or end at 5.5"),
        ({"epochs": uniform(0, 5)}, "within 1 to 1000"),
        ({"tag": uniform(1, 2)}, "give choice"),
        ({"tag": [1]}, "must be a text"),
        ({"seed": 3}, "not a distribution"),
        ({"sede": [3]}, "did you mean 'seed'"),
    ]:
        with pytest.raises(RegistryError, match=words):
            workload.space(given=wrong)


def _set(*path_and_value):
    *path, key, value = path_and_value

    def change(entry):
        for step in path:
            entry = entry[step]
        entry[key] = value

    return change


HYPER = "supported_hyperparams"


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        (_set("pth", "x"), "models.tiny.pth", "did you mean 'path'"),
        (_set("path", 5), "models.tiny.path", "must be a text, not 5"),
        (lambda e: e.pop("train_script"), "models.tiny", 'lacks "train_script"'),
        (_set("models", []), "models.tiny.models", "at least one model"),
        (_set("models", ["a", "a"]), "models.tiny.models", "each once"),
        (lambda e: e.pop("model_flag"), "models.tiny", 'no "model_flag"'),
        (_set("required_args", {"d": "--d 'x"}), "required_args.d", "cannot be split"),
        (_set("env", {"A=B": "x"}), 'env["A=B"]', "not the name of a variable"),
        (_set("env", {"A": 1}), "env.A", "must be a text, not 1"),
        (_set("output", {}), "models.tiny.output", "must have one of"),
        (_set("output", {"flag": "-o", "share": ["x"]}), "output.share", 'belongs to "copy"'),
        (_set(HYPER, "epochs", "flg", "x"), "supported_hyperparams.epochs.flg", "did you mean 'flag'"),
        (lambda e: e[HYPER]["epochs"].pop("type"), "supported_hyperparams.epochs", 'lacks "type"'),
        (_set(HYPER, "epochs", "type", "integer"), "epochs.type", "did you mean 'int'"),
        (_set(HYPER, "epochs", "default", "20"), "epochs.default", 'must be a whole number, not "20"'),
        (_set(HYPER, "epochs", "default", 0), "epochs.default", "from 1 to 1000, not 0"),
        (_set(HYPER, "epochs", "range", [30, 10]), "epochs.range", "write [10, 30]"),
        (_set(HYPER, "epochs", "range", [1]), "epochs.range", "must be [least, greatest]"),
        (_set(HYPER, "epochs", "range", [1.5, 10]), "epochs.range", "cannot begin or end at 1.5"),
        (_set(HYPER, "epochs", "distribution", "lognormal"), "epochs.distribution", "known: choice, int_uniform"),
        (_set(HYPER, "epochs", "zero_probability", 0.1), "epochs.zero_probability", "log_uniform alone"),
        (_set(HYPER, "learning_rate", "range", [0, 1]), "learning_rate.range", "above 0"),
        (_set(HYPER, "learning_rate", "applied", "("), "learning_rate.applied", "not a regular expression"),
        (_set(HYPER, "learning_rate", "applied", "x"), "learning_rate.applied", "has 0 groups"),
        (_set(HYPER, "learning_rate", "applied", "^no: (x)$"), "sample_log", "finds nothing in the sample log"),
        (_set(HYPER, "args", {}), "supported_hyperparams.args", "cannot be called"),
        (_set(HYPER, "tag", "limits", [1, 2]), "tag.limits", "list its choices"),
        (_set(HYPER, "tag", "distribution", "choice"), "tag", "empty"),
        (_set("model_overrides", {"x": {}}), "model_overrides.x", "known: linear, logistic"),
        (_set("model_overrides", {"linear": {"lr": 1}}), "model_overrides.linear.lr", "known"),
        (_set("profiles", "quick", "lr", 1), "profiles.quick.lr", "known: args, epochs"),
        (_set("profiles", "quick", "epochs", "x"), "profiles.quick.epochs", "whole number"),
        (_set("profiles", "quick", "models", {"x": {}}), "profiles.quick.models.x", "known: linear"),
        (_set("profiles", "quick", "args", [1]), "profiles.quick.args[0]", "must be a text"),
        (_set("performance_metrics", {"patterns": {}}), "performance_metrics.patterns", "log_patterns"),
        (_set("performance_metrics", "log_patterns", "f1", "^f1: (.*)$"), "sample_log", "finds nothing"),
        (_set("performance_metrics", "log_patterns", "f1", "^(acc)"), "sample_log", "not a number"),
        (_set("required_metrics", ["acuracy"]), "required_metrics[0]", "did you mean 'accuracy'"),
        (_set("sample_log", "none.log"), "sample_log", "cannot be read"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_place(folder, change, place, words):
    """Whatever is wrong: file, line, place, rule and remedy, before anything is started."""
    with pytest.raises(RegistryError) as caught:
        changed(folder, change)
    message = str(caught.value)
    assert f"{folder}/registry.json:" in message
    assert place in message
    assert any(word in message for word in words.split("|")), message


def test_a_checkout_that_is_missing_is_named_when_it_is_asked_for(folder):
    """Loading looks at no disk; asking for the workload says which path is missing and how paths are read."""
    registry = changed(folder, _set("path", "nowhere"))
    with pytest.raises(RegistryError, match=f"there is no folder {folder}/nowhere; .*relative paths start at"):
        registry.workload("tiny/linear")
    with pytest.raises(RegistryError, match=r"there is no script .*none\.py"):
        changed(folder, _set("train_script", "none.py")).workload("tiny/linear")
    with pytest.raises(RegistryError, match=r"cannot be looked at|no folder"):
        changed(folder, _set("path", "x" * 3000)).workload("tiny/linear")
    with pytest.raises(RegistryError, match="which cannot be run"):
        changed(folder, _set("python", "/nowhere/python")).workload("tiny/linear")


def test_a_script_that_cannot_be_executed_is_named_with_the_command_that_mends_it(folder):
    """A shell script needs its executable bit; a Python script does not."""
    script = folder / "tiny" / "train.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o644)
    registry = changed(folder, _set("train_script", "train.sh"))
    with pytest.raises(RegistryError, match=f"is not executable; run: chmod \\+x {script}"):
        registry.workload("tiny/linear")
    script.chmod(0o755)
    assert registry.workload("tiny/linear").script == "train.sh"


def test_later_files_win_and_includes_come_first(folder):
    """A repository in a later file replaces the earlier one; an included file counts as earlier."""
    other = copy.deepcopy(GOOD)
    other["models"]["tiny"]["models"] = ["linear"]
    del other["models"]["tiny"]["model_overrides"], other["models"]["tiny"]["profiles"]
    (folder / "other.json").write_text(json.dumps(other))
    first = loaded(folder, GOOD).files[0]
    assert load_registry([first, folder / "other.json"]).names() == ("tiny/linear",)
    including = {"include": "other.json", "models": {"second": GOOD["models"]["tiny"]}}
    registry = loaded(folder, including)
    assert registry.names() == ("tiny/linear", "second/logistic", "second/linear")
    assert [file.name for file in registry.files] == ["other.json", "registry.json"]


def test_a_cycle_of_includes_is_named(folder):
    """The chain of files is in the message."""
    (folder / "other.json").write_text('{"include": ["registry.json"]}')
    with pytest.raises(RegistryError, match=r"in a circle: .*registry\.json -> .*other\.json -> .*registry\.json"):
        loaded(folder, {"include": ["other.json"]})


def test_a_file_that_is_no_registry_is_refused(folder):
    """An object without models, and a list, say what a registry looks like."""
    with pytest.raises(RegistryError, match='has no "models"'):
        loaded(folder, {})
    with pytest.raises(RegistryError, match="must be an object"):
        loaded(folder, [])
    with pytest.raises(RegistryError, match="did you mean 'models'"):
        loaded(folder, {"model": {}})


def test_choices_are_drawn_from_and_held_to(folder):
    """A hyperparameter with choices draws from them, and refuses anything else."""
    workload = changed(folder, _set(HYPER, "tag", "choices", ["plain", "other"])).get("tiny/linear")
    assert workload.space(["tag"]) == {"tag": Choice(("plain", "other"))}
    with pytest.raises(RegistryError, match='one of "plain", "other", not "x"'):
        workload.values(tag="x")


def paths_into(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from paths_into(below, (*path, key))


ALL_PATHS = [path for path in paths_into(GOOD) if path]
JUNK = st.sampled_from([
    None,
    True,
    0,
    -1,
    1.5,
    10**18,
    "",
    "x",
    "^(x)$",
    "../..",
    [],
    [1, 2],
    [2, 1],
    ["x"],
    {},
    {"x": 1},
])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ALL_PATHS), JUNK), min_size=1, max_size=3))
def test_no_registry_makes_the_loader_crash(tmp_path_factory, changes):
    """A registry with any of its values replaced by junk is read, or refused by our error naming the file."""
    document = copy.deepcopy(GOOD)
    for path, junk in changes:
        place = document
        for step in path[:-1]:
            if not isinstance(place, dict | list) or (isinstance(place, dict) and step not in place):
                break
            place = place[step] if isinstance(place, dict) or (isinstance(step, int) and step < len(place)) else None
        if isinstance(place, dict):
            place[path[-1]] = copy.deepcopy(junk)
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copytree(DATA / "tiny", folder / "tiny")
    message = str(folder)
    try:
        registry = loaded(folder, document)
        for name in registry.names():
            workload = registry.workload(name)
            workload.command(workload.values(), output_dir=folder, threads=1)
            workload.space()
    except RegistryError as refused:
        message = str(refused)
    assert str(folder) in message


def test_a_pattern_that_takes_forever_on_the_sample_log_is_refused(tmp_path):
    """Loading a registry ends within the deadline of a search, as the reading of a real log does."""
    (tmp_path / "sample.log").write_text("a" * 60 + "!\n")
    entry = {
        "path": ".", "train_script": "t.py", "models": ["default"], "sample_log": "sample.log",
        "performance_metrics": {"log_patterns": {"accuracy": "^(?:a+)+(1)$"}},
    }  # fmt: skip
    (tmp_path / "registry.json").write_text(json.dumps({"models": {"slow": entry}}))
    started_s = time.monotonic()
    with pytest.raises(RegistryError, match="was stopped after 5 s in the sample log"):
        load_registry([tmp_path / "registry.json"])
    assert time.monotonic() - started_s < 40


def test_the_sample_logs_of_a_registry_are_searched_by_one_process(tmp_path):
    """A registry of a hundred workloads loads in the time of one search."""
    (tmp_path / "sample.log").write_text("accuracy: 0.5\n")
    entry = {
        "path": ".", "train_script": "t.py", "models": [f"m{number}" for number in range(100)], "model_flag": "-m",
        "sample_log": "sample.log", "performance_metrics": {"log_patterns": {"accuracy": "accuracy: ([0-9.]+)"}},
    }  # fmt: skip
    (tmp_path / "registry.json").write_text(json.dumps({"models": {"many": entry}}))
    started_s = time.monotonic()
    assert len(load_registry([tmp_path / "registry.json"]).names()) == 100
    assert time.monotonic() - started_s < 2
