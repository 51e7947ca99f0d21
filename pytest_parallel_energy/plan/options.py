"""The one table of options: command line, ini file, environment variables and help texts are all made from it.

Loaded with the plugin, also by suites that use nothing of it: so it imports and builds next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from ..errors import ConfigError

__all__ = ["MARKERS", "OPTIONS", "Option"]

MARKERS: Mapping[str, str] = {
    "workload": 'workload("repository/model", profile=None, **hyperparameters): what the train fixture trains; '
    "named hyperparameters are fixed at the value given",
    "mutate": 'mutate("learning_rate", ..., samples=1, seed=0, vary="all", default=False, **spaces): one item for each '
    "drawn set of hyperparameter values; names take the registered distributions, keywords give explicit ones "
    "(log_uniform, uniform, int_uniform, choice, or a list as a grid); default=True adds the un-mutated cell",
    "background_load": 'background_load("repository/model", n=1, profile=None, intensity=1.0, '
    "target_gpu_utilisation=None, gpu_memory_fraction=None, devices=None, ready=None, ready_timeout=60, grace=10, "
    '**hyperparameters): this training loops beside the test; may stand several times; batch_size="auto" fits the '
    'batch to the free memory; background_load(["program", "argument"], …) loops a plain command',
    "limit_energy": 'limit_energy("500 J", kind="total"): the test fails when it uses more, of all or of "cpu", "gpu", '
    '"dram"; also when that is unknown',
    "limit_power": 'limit_power("250 W", peak=False): the test fails when its mean (or peak) power is higher',
    "energy": "energy(repeats=, warmup=, max_retries=, profile=, cooldown=, coverage_min=): settings of this test",
}
"""The markers, and what ``pytest --markers`` says of them."""

IniType = Literal["string", "bool", "int", "float", "args"]


def _positive_int(text: str) -> int:
    return _bounded_int(text, least=1)


def _count(text: str) -> int:
    return _bounded_int(text, least=0)


def _bounded_int(text: str, *, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise ConfigError(f"{text!r} is not a whole number of {least} or more")
    return number


def _positive_seconds(text: str) -> float:
    from ..units import parse_seconds

    seconds = parse_seconds(text)
    if seconds <= 0:
        raise ConfigError(f"{text!r} is not a time above 0")
    return seconds


def _seconds(text: str) -> float:
    from ..units import parse_seconds

    return parse_seconds(text)


def _cool_down(text: str) -> str:
    from ..host.cooldown import parse_cool_down

    parse_cool_down(text)
    return text


def _lock_mode(text: str) -> str:
    from ..host.lock import parse_lock_mode

    return parse_lock_mode(text)


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise ConfigError(f"{text!r} is not a share from 0 to 1")
    return ratio


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise ConfigError(f"{text!r} names nothing; write names with commas between them")
    return names


def _label(text: str) -> str:
    key, equals, _ = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"{text!r} is not KEY=VALUE")
    return text


def _folder(text: str) -> str:
    if not text.strip():
        raise ConfigError("the folder's name is empty (an unset variable?); name a folder, such as energy-results")
    return text


def _threshold(text: str) -> str:
    from ..statistics.quantities import parse_threshold

    return str(parse_threshold(text))


def _report(text: str) -> str:
    from ..reports.writers import parse_target

    parse_target(text)
    return text


def _missing(text: str) -> str:
    if text not in {"warn", "fail"}:
        raise ConfigError(f"{text!r} is neither 'warn' nor 'fail'")
    return text


def _baseline(text: str) -> str:
    from ..statistics.baseline import check_name

    return check_name(text) if text else text


def _carbon(text: str) -> str:
    from ..reports.costs import carbon_factor

    carbon_factor(text)
    return text


def _price(text: str) -> str:
    from ..reports.costs import price_factor

    price_factor(text)
    return text


def _pue(text: str) -> str:
    from ..reports.costs import pue_factor

    pue_factor(text)
    return text


_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def _flag(text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ConfigError(f"{text!r} is neither true nor false; write 1 or 0")


class Option(NamedTuple):
    """One option, and its twins in the ini file and the environment.

    A named tuple, because making a dataclass takes a millisecond that every suite would pay.

    ``field`` names the field of ``Settings``; ``parse`` turns text into its value and raises ``ConfigError``.
    """

    field: str
    help: str
    parse: Callable[[str], Any] = str
    ini: IniType = "string"
    metavar: str | None = None
    repeatable: bool = False
    default: str = ""
    """The default in words, as ``Settings`` has it."""
    marker: bool = False
    """Whether ``@pytest.mark.energy(field=…)`` may set it for one test."""
    bare: str | None = None
    """What the option alone means, where its value may be left out."""

    @property
    def ini_name(self) -> str:
        """The name in the ini file, and the ``dest`` on the command line."""
        return "energy" if self.field == "measure_all" else f"energy_{self.field}"

    @property
    def flag(self) -> str:
        """The command-line option."""
        return "--" + self.ini_name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PYTEST_{self.ini_name.upper()}"


def _order(text: str) -> str:
    return _one_of(text, ("declared", "random", "blocked"))


def _progress(text: str) -> str:
    return _one_of(text, ("auto", "line", "heartbeat", "off"))


def _one_of(text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise ConfigError(f"{text!r} is none of {', '.join(known)}")
    return text


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a whole number") from error


def _joules(text: str) -> float:
    from ..units import parse_joules

    joules = parse_joules(text)
    if joules <= 0:
        raise ConfigError(f"{text!r} is not an energy above 0")
    return joules


OPTIONS: tuple[Option, ...] = (
    Option(field="measure_all", ini="bool", parse=_flag, help="measure every selected test, not only those that ask"),
    Option(
        field="disable",
        ini="bool",
        parse=_flag,
        help="measure nothing, start no background load, run each cell once: the suite as a fast functional test",
    ),
    Option(field="dir", default="energy-results", metavar="DIR", help="folder for the results", parse=_folder),
    Option(field="name", metavar="NAME", help="name of this run, part of its folder's name"),
    Option(
        field="tag", metavar="KEY=VALUE", parse=_label, ini="args", repeatable=True, help="label kept in each record"
    ),
    Option(
        field="repeats",
        default="1",
        metavar="N",
        parse=_positive_int,
        ini="int",
        marker=True,
        help="measured repetitions of a cell",
    ),
    Option(
        field="warmup",
        default="0",
        metavar="N",
        parse=_count,
        ini="int",
        marker=True,
        help="repetitions of a cell before the measured ones, recorded as warm-up",
    ),
    Option(
        field="max_retries",
        default="0",
        metavar="N",
        parse=_count,
        ini="int",
        marker=True,
        help="further attempts of a training that failed; each attempt is recorded with its energy",
    ),
    Option(
        field="sensors",
        default="auto",
        metavar="NAMES",
        parse=_names,
        help="which sources of readings, in order: auto, or names with commas between (see --energy-list=sensors)",
    ),
    Option(
        field="interval",
        default="1",
        metavar="SECONDS",
        parse=_positive_seconds,
        ini="float",
        help="time between two samples of a sensor that has to be sampled",
    ),
    Option(
        field="strict",
        ini="bool",
        parse=_flag,
        help="a missing or only estimated sensor fails the run",
    ),
    Option(
        field="models",
        metavar="FILE",
        ini="args",
        repeatable=True,
        help="a registry of further workloads, your own repositories; adds to those of the ini file",
    ),
    Option(
        field="config",
        metavar="PATTERN",
        ini="args",
        repeatable=True,
        help="JSON, TOML or YAML files that are experiments: paths or patterns, besides those called *.energy.json",
    ),
    Option(
        field="profile",
        metavar="NAME",
        marker=True,
        help="which profile of the workloads' hyperparameters; 'published' is the registry's defaults",
    ),
    Option(
        field="threads",
        default="half of the cores",
        metavar="N",
        parse=_positive_int,
        ini="int",
        help="CPU threads of the foreground training, the same alone and beside a load",
    ),
    Option(
        field="idle",
        default="5",
        metavar="SECONDS",
        parse=_seconds,
        ini="float",
        help="length of the idle leg, once a run, and of the leg of a load alone; 0: none; not with an estimate",
    ),
    Option(
        field="cooldown",
        metavar="REST",
        parse=_cool_down,
        marker=True,
        help="rest before a measured test, outside its timeout: seconds, temp:50 (until no device is above 50 °C), "
        "or idle (until idle power is back); bounded, then flagged; without it there is no rest",
    ),
    Option(
        field="host_lock",
        default="wait",
        metavar="wait|refuse|off",
        parse=_lock_mode,
        help="two measured tests never overlap on one host: wait for the other, refuse to measure, or measure anyway",
    ),
    Option(
        field="host_lock_timeout",
        metavar="SECONDS",
        parse=_positive_seconds,
        ini="float",
        help="longest wait for the host lock; then the test fails; else it waits for ever",
    ),
    Option(
        field="host_lock_dir",
        metavar="DIR",
        help="folder of the host lock, the same for all who measure on this host; else /run/lock, /dev/shm or /tmp",
    ),
    Option(
        field="coverage_min",
        default="0.9",
        metavar="SHARE",
        parse=_ratio,
        ini="float",
        marker=True,
        help="least share of the window during which the background load must have run, else the test fails; 0: any",
    ),
    Option(
        field="order",
        metavar="ORDER",
        parse=_order,
        help="order of experiments: declared, random, or blocked (each repetition of all cells a shuffled block)",
    ),
    Option(
        field="seed",
        default="0",
        metavar="N",
        parse=_whole,
        ini="int",
        help="seed of --energy-order; kept in run.json",
    ),
    Option(
        field="history",
        metavar="FILE",
        ini="args",
        repeatable=True,
        help="results of earlier runs (folder, records.jsonl, CSV with hyperparam_* columns): mutations that they hold "
        "for the same workload, alone or beside a load, are left out",
    ),
    Option(
        field="resume",
        metavar="RUN",
        bare="latest",
        help="go on with the latest run, or with the one named: experiments that it finished with the same code and "
        "values are left out and stay in its report",
    ),
    Option(
        field="plan",
        ini="bool",
        parse=_flag,
        help="print what would run, with the time and energy that earlier runs took; run nothing",
    ),
    Option(
        field="budget",
        metavar="ENERGY",
        parse=_joules,
        help="stop the run when it has used so much, such as 500kJ or 2kWh",
    ),
    Option(
        field="governor",
        metavar="NAME",
        marker=True,
        help="CPU frequency governor, such as performance: set for each test and restored after it",
    ),
    Option(
        field="progress",
        default="auto",
        metavar="HOW",
        parse=_progress,
        help="how the run tells where it is: line (on a terminal), heartbeat (one line a minute), off, or auto",
    ),
    Option(
        field="compare",
        bare="",
        metavar="RUN",
        help="compare with a run (its folder, its id, the beginning of its id) or a baseline by name; alone: with this "
        "machine's default baseline, else with the latest run",
    ),
    Option(
        field="compare_fail",
        metavar="QUANTITY:CHANGE",
        parse=_threshold,
        ini="args",
        repeatable=True,
        help="exit with 1 when a cell is worse than in the run compared with, such as total_j:5%% or, where a fall is "
        "worse, test_accuracy:-2%%; elbo:-2.0abs is in the quantity's unit; total_j:5%%! asks that the whole interval "
        "is beyond 5 %%; implies --energy-compare",
    ),
    Option(
        field="compare_inconclusive",
        default="warn",
        metavar="warn|fail",
        parse=_missing,
        help="what an inconclusive verdict does to the gate of --energy-compare-fail: warn leaves the exit status at 0",
    ),
    Option(
        field="save_baseline",
        bare="",
        metavar="NAME",
        parse=_baseline,
        help="keep this run's records as a baseline of this machine; alone: the default one",
    ),
    Option(
        field="baseline_missing",
        default="warn",
        metavar="warn|fail",
        parse=_missing,
        help="what to do when there is nothing to compare with",
    ),
    Option(
        field="report",
        metavar="TYPE[:PATH]",
        parse=_report,
        ini="args",
        repeatable=True,
        help="write a report: html, md, json, csv, github, gha-benchmark or openmetrics (term, the table, is always "
        "printed); without a path into the run's folder",
    ),
    Option(
        field="carbon_intensity",
        metavar="'G/kWh; SOURCE'",
        parse=_carbon,
        help="grams of CO2 equivalent a kWh and where the number is from, to show carbon; nothing is guessed",
    ),
    Option(
        field="price",
        metavar="'CURRENCY/kWh; SOURCE'",
        parse=_price,
        help="price of a kWh such as '0.31 EUR/kWh; contract of 2026', to show costs",
    ),
    Option(
        field="pue",
        metavar="'PUE; SOURCE'",
        parse=_pue,
        help="power usage effectiveness of the data centre, 1 or more, that carbon and price are multiplied with",
    ),
)
