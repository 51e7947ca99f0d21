"""The one table of options: command line, ini file, environment variables, markers and help texts are made from it.

pytest imports this module at every start, also in suites that do not use the plugin: it holds plain data and imports
next to nothing. What turns text into values is in ``option_values``, imported when a value is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    Kind = Literal[
        "baseline", "carbon", "cool_down", "count", "devices", "file", "flag", "folder", "joules", "keep", "label",
        "lock_mode", "names", "order", "positive_int", "positive_seconds", "price", "progress", "pue", "ranks", "ratio",
        "report", "seconds", "shard", "shared_memory", "text", "threshold", "warn_or_fail", "whole",
    ]  # fmt: skip
    """What an option holds; ``option_values.PARSERS`` has one parser for each."""

    IniType = Literal["string", "bool", "int", "float", "args"]

__all__ = ["MARKERS", "OPTIONS", "Option"]

_INI_TYPES: Mapping[Kind, IniType] = {
    "flag": "bool", "positive_int": "int", "count": "int", "whole": "int", "positive_seconds": "float",
    "seconds": "float", "ratio": "float",
}  # fmt: skip
"""pytest's type of the ini setting, where it is not text."""


class Option:
    """One option of the command line, with its ini setting and its environment variable.

    A plain class: creating a named tuple or a dataclass takes longer than everything else in this module.

    Args:
        field: name of the field of ``Settings``.
        kind: what the option holds.
        help_text: the help text, without the default.
        default: the default in words, as ``Settings`` has it; empty for none.
        metavar: the name of the value in the help.
        repeatable: ``True`` if the option may be given several times.
        marker: ``True`` if ``@pytest.mark.energy(field=…)`` may set it for one test.
        bare: the value of the option when it is given without ``=VALUE``; ``None`` where a value is required.
    """

    def __init__(  # noqa: PLR0913 - one row of the table
        self,
        field: str,
        kind: Kind,
        help_text: str,
        default: str = "",
        metavar: str | None = None,
        *,
        repeatable: bool = False,
        marker: bool = False,
        bare: str | None = None,
    ) -> None:
        self.field = field
        self.kind = kind
        self.help = help_text
        self.default = default
        self.metavar = metavar
        self.repeatable = repeatable
        self.marker = marker
        self.bare = bare
        self.ini: IniType = "args" if repeatable else _INI_TYPES.get(kind, "string")
        """pytest's type of the ini setting."""
        self.ini_name = "energy" if field == "measure_all" else f"energy_{field}"
        """The name in the ini file, and the ``dest`` on the command line."""
        self.flag = "--" + self.ini_name.replace("_", "-")
        """The option on the command line."""
        self.variable = f"PYTEST_{self.ini_name.upper()}"
        """The environment variable."""

    def parse(self, given: Any) -> Any:
        """Return the value of one text, or of a value that has the right type already.

        Raises:
            ConfigError: the option cannot have this value.
        """
        from .option_values import PARSERS

        return PARSERS[self.kind](given)


OPTIONS: tuple[Option, ...] = (
    Option(
        "measure_all", "flag", "measure every selected test, not only tests that use a fixture or marker of this plugin"
    ),
    Option("disable", "flag", "run each cell once, without measurements and without background loads"),
    Option("dir", "folder", "folder for the results", "energy-results", "DIR"),
    Option("name", "text", "name of this run, added to the name of its folder", metavar="NAME"),
    Option(
        "tag", "label", "label stored in every record of the run; may be repeated", metavar="KEY=VALUE", repeatable=True
    ),
    Option("repeats", "positive_int", "number of measured repetitions of each cell", "1", "N", marker=True),
    Option(
        "warmup",
        "count",
        "number of repetitions of each cell before the measured ones; recorded as warm-up",
        "0",
        "N",
        marker=True,
    ),
    Option(
        "max_retries",
        "count",
        "number of retries of a failed training; every attempt is recorded with its energy",
        "0",
        "N",
        marker=True,
    ),
    Option(
        "sensors",
        "names",
        "energy sensors to use, in order of preference: auto, or names separated by commas (listed by "
        "--energy-list=sensors)",
        "auto",
        "NAMES",
    ),
    Option(
        "interval",
        "positive_seconds",
        "seconds between two samples of a sensor that has no energy counter",
        "1",
        "SECONDS",
    ),
    Option(
        "strict",
        "flag",
        "fail the run when a sensor is missing or only an estimate is available, and a test during which other "
        "processes used more of the CPU time or of a GPU than --energy-others-max",
    ),
    Option(
        "others_max",
        "ratio",
        "with --energy-strict: largest share (0 to 1) of the CPU time, and of the use of a GPU, that other processes "
        "may have in a measurement window; 1 allows any; above 0.05 the results carry a remark in any case",
        "0.1",
        "RATIO",
        marker=True,
    ),
    Option(
        "models",
        "file",
        "registry of workloads (JSON, TOML or YAML), for your own repositories; 'reference' stands for the reference "
        "workloads, which are used when no registry is named; may be repeated",
        metavar="FILE",
        repeatable=True,
    ),
    Option(
        "config",
        "text",
        "path or pattern of experiment files (JSON, TOML or YAML) to collect in addition to *.energy.json; "
        "may be repeated",
        metavar="PATTERN",
        repeatable=True,
    ),
    Option(
        "strict_files",
        "flag",
        "refuse every unknown key of an experiment file; without it, a key that resembles no known key is ignored as a "
        "note, with a warning",
    ),
    Option(
        "profile",
        "text",
        "profile of hyperparameters to use; 'published' selects the defaults of the registry",
        metavar="NAME",
        marker=True,
    ),
    Option(
        "threads",
        "positive_int",
        "CPU threads of the measured training, the same with and without a background load",
        "half of the cores",
        "N",
    ),
    Option(
        "devices",
        "devices",
        "GPUs of the measured training, such as 0,1 or GPU-8a2c...: it sees these only (CUDA_VISIBLE_DEVICES, in PCI "
        "order), and only they count; the joules of the others are listed as not counted (default: all)",
        metavar="LIST",
        marker=True,
    ),
    Option(
        "idle",
        "seconds",
        "seconds to measure idle power (once per run) and each load on its own; 0 disables it; ignored for "
        "estimated sensors",
        "5",
        "SECONDS",
    ),
    Option(
        "cooldown",
        "cool_down",
        "rest before each measured test, not counted by timeouts: a number of seconds, temp:50 (until no "
        "device is above 50 °C), or idle (until power is back at idle); waits at most 5 minutes, then flags "
        "the record (default: no rest)",
        metavar="REST",
        marker=True,
    ),
    Option(
        "host_lock",
        "lock_mode",
        "what to do when another process measures on this host: wait for it, refuse to measure, or measure "
        "anyway (off)",
        "wait",
        "wait|refuse|off",
    ),
    Option(
        "host_lock_timeout",
        "positive_seconds",
        "maximum time in seconds to wait for the host lock before failing the test (default: wait indefinitely)",
        metavar="SECONDS",
    ),
    Option(
        "host_lock_dir",
        "text",
        "folder of the host lock, shared by all users who measure on this host (default: the first usable of "
        "/run/lock, /dev/shm and /tmp)",
        metavar="DIR",
    ),
    Option(
        "ranks",
        "ranks",
        "what to do when a launcher (torchrun, mpirun, srun, ...) started pytest as several ranks: the first rank of "
        "each node measures it and the others only run the tests (node), or refuse to run",
        "node",
        "node|refuse",
    ),
    Option(
        "shared_memory",
        "shared_memory",
        "what loads and trainings may do with data of other programs in /dev/shm: read it, or change it too; what they "
        "create there is their own and is removed with them",
        "read-only",
        "read-only|writable",
        marker=True,
    ),
    Option(
        "coverage_min",
        "ratio",
        "minimum fraction (0 to 1) of the measurement window covered by the background load; the test fails "
        "below it; 0 disables the check",
        "0.9",
        "RATIO",
        marker=True,
    ),
    Option(
        "keep",
        "keep",
        "which files that trainings and loads wrote (checkpoints, outputs) stay in the results folder: those of all "
        "attempts (outputs), of attempts that did not pass (failed), or none; logs and records always stay, and "
        "unchanged copies of a checkout never",
        "outputs",
        "outputs|failed|none",
        marker=True,
    ),
    Option(
        "order",
        "order",
        "order of experiments: declared, random, or blocked (one repetition of every cell, shuffled, then the"
        " next); without it pytest's order",
        metavar="ORDER",
    ),
    Option("seed", "whole", "seed of --energy-order; stored in run.json", "0", "N"),
    Option(
        "history",
        "file",
        "results of earlier runs (a folder, records.jsonl, or a CSV with hyperparam_* columns): mutations "
        "found there for the same workload, with or without a load, are not run again; may be repeated",
        metavar="FILE",
        repeatable=True,
    ),
    Option(
        "shard",
        "shard",
        "run only one part of the experiments, such as 2/5: all repetitions of a cell stay in one part, and parts are "
        "balanced by the times in --energy-history; auto and auto/5 take the number from SLURM_ARRAY_TASK_ID, "
        "CI_NODE_INDEX or JOB_COMPLETION_INDEX",
        metavar="I/N|auto",
    ),
    Option(
        "resume",
        "text",
        "resume the latest run, or the run given as --energy-resume=RUN: experiments that it finished with "
        "the same code and values are not run again and stay in its report",
        metavar="RUN",
        bare="latest",
    ),
    Option("plan", "flag", "print what would run, with the expected time and energy from earlier runs; run nothing"),
    Option(
        "budget", "joules", "stop the run when it has used this much energy, such as 500kJ or 2kWh", metavar="ENERGY"
    ),
    Option(
        "governor",
        "text",
        "CPU frequency governor, such as performance: set before each test and restored after it",
        metavar="NAME",
        marker=True,
    ),
    Option(
        "progress",
        "progress",
        "how to report progress: line (on a terminal), heartbeat (one line per minute), off, or auto",
        "auto",
        "HOW",
    ),
    Option(
        "compare",
        "text",
        "compare with this machine's default baseline, or else with the latest run; --energy-compare=RUN "
        "compares with a run (its folder, its id, or the beginning of its id) or a baseline by name",
        metavar="RUN",
        bare="",
    ),
    Option(
        "compare_fail",
        "threshold",
        "exit with status 1 when a cell is worse than in the run it is compared with, such as total_j:5%% or,"
        " where a decrease is worse, test_accuracy:-2%%; elbo:-2.0abs is in the unit of the quantity; total_j:5%%! "
        "requires the whole interval beyond 5 %%; implies --energy-compare; may be repeated",
        metavar="QUANTITY:CHANGE",
        repeatable=True,
    ),
    Option(
        "compare_inconclusive",
        "warn_or_fail",
        "what an inconclusive verdict does to the gate of --energy-compare-fail: warn leaves the exit status at 0",
        "warn",
        "warn|fail",
    ),
    Option(
        "save_baseline",
        "baseline",
        "save the records of this run as the default baseline of this machine, or as --energy-save-baseline=NAME",
        metavar="NAME",
        bare="default",
    ),
    Option(
        "add_baseline",
        "baseline",
        "add this run as one more session to the default baseline of this machine, or to --energy-add-baseline=NAME; a "
        "comparison with several sessions counts what differs between sessions",
        metavar="NAME",
        bare="default",
    ),
    Option(
        "baseline_missing",
        "warn_or_fail",
        "what to do when there is no run or baseline to compare with",
        "warn",
        "warn|fail",
    ),
    Option(
        "report",
        "report",
        "write a report: html, md, json, csv, github, gha-benchmark or openmetrics (term, the table, is "
        "always printed); without a path into the folder of the run; may be repeated",
        metavar="TYPE[:PATH]",
        repeatable=True,
    ),
    Option(
        "carbon_intensity",
        "carbon",
        "grams of CO2 equivalent per kWh and the source of that number, to show carbon emissions; there is no default",
        metavar="'G/kWh; SOURCE'",
    ),
    Option(
        "price",
        "price",
        "price per kWh and its source, such as '0.31 EUR/kWh; contract of 2026', to show costs",
        metavar="'CURRENCY/kWh; SOURCE'",
    ),
    Option(
        "pue",
        "pue",
        "power usage effectiveness of the data centre (1 or more), by which carbon emissions and costs are multiplied",
        metavar="'PUE; SOURCE'",
    ),
)

_ENERGY = ", ".join(f"{option.field}={option.default or None}" for option in OPTIONS if option.marker)

MARKERS: Mapping[str, str] = {
    "workload": 'workload("repository/model", profile=None, **hyperparameters): the training that the train fixture '
    "runs; hyperparameters given by name are fixed at these values; "
    'workload(command=["python", "train.py"]) runs a command that no registry describes',
    "mutate": 'mutate("learning_rate", ..., samples=1, seed=0, vary="all", default=False, **spaces): run the test once '
    "for each drawn set of hyperparameter values; names use the registered distributions, keywords give explicit ones "
    "(log_uniform, uniform, int_uniform, choice, or a list as a grid); default=True adds the cell without mutation",
    "background_load": 'background_load("repository/model", n=1, profile=None, intensity=1.0, '
    "target_gpu_utilisation=None, gpu_memory_fraction=None, devices=None, ready=None, ready_timeout=60, grace=10, "
    "**hyperparameters): run this training in a loop alongside the test; may be used several times; "
    'batch_size="auto" fits the batch to the free memory; background_load(["program", "argument"], ...) loops a '
    "command",
    "limit_energy": 'limit_energy("500 J", kind="total"): fail the test when it uses more energy, in total or of kind '
    '"cpu", "gpu" or "dram"; also when that energy is unknown',
    "limit_power": 'limit_power("250 W", peak=False): fail the test when its mean (or peak) power is higher',
    "energy": f"energy({_ENERGY}): settings of this test, which take precedence over the command line; None selects "
    "the default",
}
"""The markers, with the text that ``pytest --markers`` prints."""
