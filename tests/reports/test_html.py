from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import math
import random
import re
from html.parser import HTMLParser

import pytest
from copied import replace

from pytest_parallel_energy.records.record import (
    Attribution,
    EpochEnergy,
    HostPart,
    JobPart,
    LoadReport,
    MeterPart,
    Status,
    WindowResult,
    WorkloadPart,
)
from pytest_parallel_energy.records.run_info import RunInfo
from pytest_parallel_energy.records.trace import Trace
from pytest_parallel_energy.reports.html import document, page, tables
from pytest_parallel_energy.reports.html.document import html_report
from pytest_parallel_energy.reports.report import Report
from pytest_parallel_energy.statistics.analysis import hyperparameter_effects, load_pairs
from pytest_parallel_energy.statistics.compare import compare_runs
from pytest_parallel_energy.statistics.grouping import group_cells
from pytest_parallel_energy.statistics.quantities import parse_threshold

from chromium_pipe import CHROMIUM, Browser  # isort: skip - lies beside this file

NASTY = 't.py::test_a["x"|<script>alert(1)</script>\\é%,:]'


def _trace(points):
    offsets = tuple(i * 60 / points for i in range(points))
    values = (tuple(50.0 + i % 7 for i in range(points)), tuple(40.0 + i / points for i in range(points)))
    return Trace(names=("package-0_w", "gpu-0_celsius"), offsets_s=offsets, values=values)


def _study(make_record, cells, repeats=5, points=2000):
    """Half of the cells alone, half beside a load, with metrics, windows, rounds and one trace a cell."""
    draw = random.Random(1)
    records, traces = [], {}
    for number in range(cells // 2):
        lr = float(f"{10 ** draw.uniform(-4, -1):.3g}")
        for load in (False, True):
            for repetition in range(repeats):
                record = _attempt(make_record, draw, number, lr=lr, load=load, repetition=repetition)
                records.append(record)
                if repetition == 0:
                    traces[record.record_id] = _trace(points)
    return Report(records=tuple(records), traces=traces)


def _attempt(make_record, draw, number, *, lr, load, repetition):
    joules = (5000 + 800 * abs(math.log10(lr) + 2)) * (1.8 if load else 1.0) * draw.gauss(1, 0.01)
    energy = WindowResult(
        window_s=80.0 if load else 60.0,
        total_j=joules,
        total_u95_j=0.04 * joules,
        cpu_j=joules,
        mean_w=joules / 60,
        quality="counter",
        boundary="CPU packages; without DRAM, GPU, board, power supply",
        windows=(WindowResult(name="epoch-1", start_s=1.0, window_s=20.0),),
    )
    loads = (LoadReport(name="VulBERTa/mlp", rounds_completed=5, coverage_ratio=0.98, round_spans_s=((-1.0, 9.0),)),)
    return make_record(
        energy=energy,
        lr=lr,
        background=loads if load else (),
        repetition=repetition,
        cell=f"c{number:04d}{'b' if load else 'a'}",
        nodeid=f"t.py::test_resnet20[lr={lr}-bg={'VulBERTa/mlp' if load else 'None'}-rep{repetition}]",
        workload=WorkloadPart(
            repository="pytorch_resnet_cifar10",
            model="resnet20",
            hyperparameters={"learning_rate": lr, "epochs": 2},
            metrics={"test_accuracy": 0.9 - 0.1 * abs(math.log10(lr) + 2)},
            better={"test_accuracy": "higher"},
        ),
        meter=MeterPart(flags=("idle leg not measured",)),
    )


@pytest.fixture
def study(make_record):
    """Twelve cells, a failed one and a comparison."""
    report = _study(make_record, 12)
    failed = make_record(None, lr=9.0, status=Status.TIMEOUT, reason="stopped <b>", cell="bad")
    comparison = compare_runs(("old", report.records), ("new", report.records), (parse_threshold("total_j:5%"),))
    return replace(report, records=(*report.records, failed), comparison=comparison)


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory):
    """A browser for all tests of this file: starting one takes seconds."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    pytest.importorskip("altair", reason="the extra report is not installed")
    with Browser(tmp_path_factory.mktemp("chromium") / "profile", deadline_s=300) as found:
        yield found


@pytest.fixture
def browser(one_browser):
    """The browser, with nothing in its console."""
    one_browser.errors.clear()
    return one_browser


_DRAWN = "[...document.querySelectorAll('[data-chart]')].every(place => place.dataset.drawn === 'yes')"


def _open(browser, path, report, **how):
    path.write_text(html_report(report), encoding="utf-8")
    browser.open(path, **how)
    browser.wait_for(_DRAWN)


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (390, False)])
def test_the_page_is_drawn(tmp_path, browser, study, width, dark):
    """In light, dark and at a phone's width: all charts drawn, the console clean, nothing fetched or cut off."""
    _open(browser, tmp_path / "r.html", study, width=width, dark=dark)
    browser.wait_for("document.getElementById('trace-power').dataset.drawn === 'yes'")
    charts = browser.evaluate(
        "[...document.querySelectorAll('[data-chart]')].map(p => [p.id, p.querySelectorAll('svg path').length])"
    )
    assert [name for name, _ in charts] == [
        "chart-energy",
        "chart-load",
        "chart-hyperparameter-0",
        "chart-pareto-0",
        "chart-pareto-1",
    ]
    assert all(marks > 10 for _, marks in charts)
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)")
    assert browser.errors == []


def test_tables_sort_and_filter(tmp_path, browser, study):
    """A click on a head sorts by number, a second one the other way, unknown last; typing filters and counts."""
    _open(browser, tmp_path / "r.html", study)
    column = "[...document.querySelectorAll('#cells tbody tr')].map(r => r.cells[3].dataset.sort ?? null)"
    browser.evaluate("document.querySelectorAll('#cells thead button')[3].click()")
    rising = browser.evaluate(column)
    assert rising[-1] is None
    assert [float(v) for v in rising[:-1]] == sorted(float(v) for v in rising[:-1])
    assert browser.evaluate("document.querySelectorAll('#cells th')[3].ariaSort") == "ascending"
    browser.evaluate("document.querySelectorAll('#cells thead button')[3].click()")
    falling = browser.evaluate(column)
    assert falling[-1] is None
    assert falling[:-1] == rising[-2::-1]
    browser.evaluate(
        "(() => { const box = document.querySelector('[data-for=cells]'); box.value = 'vulberta lr=0'; "
        "box.dispatchEvent(new Event('input')); })()"
    )
    shown = browser.evaluate("document.querySelectorAll('#cells tbody tr:not([hidden])').length")
    assert shown == 6
    assert browser.evaluate("document.querySelector('output[for=cells]').textContent") == "6 of 13"
    assert browser.errors == []


def test_charts_and_tables_have_accessible_names(tmp_path, browser, study):
    """Each chart says what it shows, each table, box and button has a name; links lead to rows."""
    _open(browser, tmp_path / "r.html", study)
    names = browser.evaluate(
        "[...document.querySelectorAll('[data-chart] [role=graphics-document]')].map(s => s.getAttribute('aria-label'))"
    )
    assert len(names) == 5
    assert all(name and "chart of" in name for name in names)
    nameless = (
        "[...document.querySelectorAll('button,input,select,a')]"
        ".filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)"
    )
    assert browser.evaluate(nameless) == []
    assert browser.evaluate("[...document.querySelectorAll('table')].every(t => t.caption.textContent)")
    broken = (
        "[...document.querySelectorAll('a[href^=\"#\"]:not(.vega-actions a)')]"
        ".filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).length"
    )
    assert browser.evaluate(broken) == 0
    exports = "[...document.querySelectorAll('#chart-energy .vega-actions a')].map(a => a.textContent)"
    assert browser.evaluate(exports) == ["Save as SVG", "Save as PNG"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("number", "kind", "start"), [(0, "svg", "blob:"), (1, "png", "data:image/png")])
def test_charts_are_saved(tmp_path, browser, study, number, kind, start, dark):
    """The menu of a chart gives an SVG and a PNG, made in the page itself and, in a dark page too, on white."""
    _open(browser, tmp_path / "r.html", study, dark=dark)
    browser.evaluate(
        "window.saved = []; window.blobs = []; const made = URL.createObjectURL; "
        "HTMLAnchorElement.prototype.click = function () { saved.push([this.href, this.download]); }; "
        "URL.createObjectURL = (blob) => { blobs.push(blob); return made(blob); }; "
        f"document.querySelectorAll('#chart-energy .vega-actions a')[{number}]"
        ".dispatchEvent(new MouseEvent('click', { cancelable: true })); null"
    )
    browser.wait_for("saved.length === 1")
    href, name = browser.evaluate("saved[0]")
    assert href.startswith(start)
    assert name == f"Energy-per-cell.{kind}"
    if kind == "svg":
        text = browser.evaluate("blobs[0].text()")
        assert "#1b2430" in text
        assert "#e4e9f0" not in text
        assert 'fill="#ffffff"' in text
        assert "joules: counter" in text
    assert browser.evaluate("'theme' in document.documentElement.dataset") is False
    assert browser.errors == []


def test_a_picture_says_what_it_is_of(tmp_path, browser, study):
    """The drawn chart, which is what gets saved, holds its title, quality, interval, n and run."""
    named = replace(study, info=RunInfo(run_id="run-7", started_at="2026-01-02"))
    _open(browser, tmp_path / "r.html", named)
    browser.wait_for("document.getElementById('trace-power').dataset.drawn === 'yes'")
    for chart in ("chart-energy", "chart-load", "chart-pareto-0", "trace-power"):
        text = browser.evaluate(
            f"[...document.querySelectorAll('#{chart} svg .role-title text')].map(t => t.textContent).join(' ')"
        )
        assert "run run-7" in text
        assert "counter" in text
        assert re.search(r"n = [0-9]", text)
        assert "95 % interval" in text or chart == "trace-power"


def test_charts_are_sorted_on_demand(tmp_path, browser, study):
    """The order of the rows is the reader's choice: as run, by energy either way, by name."""
    _open(browser, tmp_path / "r.html", study)
    texts = "[...document.querySelectorAll('#chart-energy .role-axis-label text')].map(t => t.textContent)"
    rows = f"{texts}.filter(t => t.includes('lr='))"
    found = {}
    for order in ("run", "rising", "falling"):
        browser.evaluate(
            f"(() => {{ const box = document.querySelector('[data-order=energy]'); box.value = '{order}'; "
            "document.getElementById('chart-energy').dataset.drawn = ''; box.dispatchEvent(new Event('change')); })()"
        )
        browser.wait_for(_DRAWN)
        found[order] = browser.evaluate(rows)
    assert found["rising"] == found["falling"][::-1]
    assert sorted(found["run"]) == sorted(found["rising"])
    assert found["run"] != found["rising"]
    assert browser.errors == []


def _texts(browser, where):
    """The texts of a part of a chart, those of several lines joined."""
    return browser.evaluate(
        f"[...document.querySelectorAll('{where} text')].map(t => t.children.length ? "
        "[...t.children].map(line => line.textContent).join(' ') : t.textContent)"
    )


@pytest.mark.parametrize("width", [390, 800, 1400])
def test_labels_and_legends_are_complete(tmp_path, browser, make_record, width):
    """No label of a row and no entry of a legend is cut or leaves the picture, and no label covers another one."""
    load = "Person_reID_baseline_pytorch/densenet121"
    names = [f"learning_rate=0.000145{n}-warmup_steps=1000-dropout=0.25-bg={load}" for n in range(3)]
    epochs = tuple(EpochEnergy(name=str(n), start_s=n * 1.0, seconds=1.0, joules=10.0 + n, u95_j=1.0) for n in range(3))
    records = [
        make_record(100.0 + n, cell=name, nodeid=f"t.py::t[{name}]", background=(LoadReport(name=load),), epochs=epochs)
        for n, name in enumerate(names)
    ]
    alone = make_record(50.0, cell="alone", nodeid="t.py::t[learning_rate=1-warmup_steps=1-dropout=0.5-bg=None]")
    _open(browser, tmp_path / "r.html", Report(records=(*records, alone)), width=width)
    wanted = {name.replace("-", "") for name in names}
    labels = {text.replace(", ", "").replace(" ", "") for text in _texts(browser, "#chart-energy .role-axis-label")}
    assert wanted <= labels
    entries = {text.replace(", ", "").replace(" ", "") for text in _texts(browser, "#chart-epochs .role-legend-label")}
    assert wanted <= entries
    assert load in {text.replace(" ", "") for text in _texts(browser, "#chart-energy .role-legend-label")}
    boxes = (
        "[...document.querySelectorAll('[data-chart] svg')].flatMap(svg => [...svg.querySelectorAll('text')].filter("
        "t => { const a = t.getBoundingClientRect(), b = svg.getBoundingClientRect(); "
        "return a.width && (a.left < b.left - 1 || a.right > b.right + 1); }).map(t => t.textContent))"
    )
    assert browser.evaluate(boxes) == []
    rows = browser.evaluate(
        "[...document.querySelectorAll('#chart-energy .role-axis-label text')].filter(t => "
        "t.textContent.startsWith('learning_rate')).map(t => t.getBoundingClientRect()).map(b => [b.top, b.bottom])"
    )
    assert len(rows) == 4
    assert all(first[1] <= second[0] + 1 for first, second in itertools.pairwise(sorted(rows)))
    assert browser.errors == []


@pytest.mark.parametrize("width", [390, 800, 1400])
def test_ratios_have_intervals_at_any_width(tmp_path, browser, study, width):
    """A ratio of a training with a load to the same alone stands with its interval, on a phone in a second line."""
    _open(browser, tmp_path / "r.html", study, width=width)
    ratios = [text for text in _texts(browser, "#chart-load .mark-text") if text.startswith("×")]
    assert len(ratios) == 6
    assert all(re.fullmatch(r"× [0-9.]+ \([0-9.]+ to [0-9.]+\)", text) for text in ratios)


@pytest.mark.parametrize("width", [390, 800, 1400])
def test_windows_stand_below_their_power(tmp_path, browser, study, make_record, width):
    """The charts of a trace begin and end at the same place, and a window that has room for its name shows it."""
    _open(browser, tmp_path / "r.html", study, width=width)
    browser.wait_for("document.getElementById('trace-heat').dataset.drawn === 'yes'")
    edges = [
        browser.evaluate(
            f"(() => {{ const all = [...document.querySelectorAll('#trace-{kind} .role-axis-grid line')]"
            ".map(line => line.getBoundingClientRect().left); return [Math.min(...all), Math.max(...all)]; })()"
        )
        for kind in ("power", "spans", "heat")
    ]
    assert all(edge == pytest.approx(edges[0], abs=2) for edge in edges[1:])
    assert "epoch-1" in _texts(browser, "#trace-spans .mark-text")
    load = "Person_reID_baseline_pytorch/densenet121"
    beside = make_record(background=(LoadReport(name=load, round_spans_s=((0.0, 9.0),)),))
    _open(browser, tmp_path / "r.html", Report(records=(beside,), traces={beside.record_id: _trace(20)}), width=width)
    browser.wait_for("document.getElementById('trace-heat').dataset.drawn === 'yes'")
    assert load in {text.replace(" ", "") for text in _texts(browser, "#trace-spans .role-axis-label")}
    right = "Math.max(...[...document.querySelectorAll('#trace-spans text')].map(t => t.getBoundingClientRect().right))"
    assert browser.evaluate(f"{right} <= document.querySelector('#trace-spans svg').getBoundingClientRect().right + 1")


def test_tables_sort_by_keyboard(tmp_path, browser, study):
    """Tab leads to the head of a column, and the Enter key sorts by it; the menu of a chart has a name."""
    _open(browser, tmp_path / "r.html", study)
    browser.evaluate("document.querySelector('#cells thead button').focus()")
    for key, code, text in (("Tab", 9, ""), ("Enter", 13, "\r")):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code, text=text)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)
    assert browser.evaluate("document.querySelectorAll('#cells th')[1].ariaSort") == "ascending"
    assert browser.evaluate("document.querySelector('#chart-energy summary').ariaLabel") == "Save Energy per cell"


def test_a_printed_page_is_not_cut(tmp_path, browser, study):
    """On paper charts and tables are as wide as the page, whatever the screen was, and dark on white."""
    _open(browser, tmp_path / "r.html", study, width=1400, dark=True)
    scheme = {"name": "prefers-color-scheme", "value": "dark"}
    browser.call("Emulation.setEmulatedMedia", media="print", features=[scheme])
    browser.call("Emulation.setDeviceMetricsOverride", width=1047, height=700, deviceScaleFactor=1, mobile=False)
    try:
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert "invert" in browser.evaluate("getComputedStyle(document.querySelector('#chart-energy svg')).filter")
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


def test_without_any_energy_the_page_says_so(make_record):
    """A run in which nothing was measured has no chart of energy, and a sentence instead."""
    pytest.importorskip("altair", reason="the extra report is not installed")
    assert "No attempt has a known energy" in html_report(Report(records=(make_record(None),)))
    assert "No attempt has a known energy" not in html_report(Report(records=(make_record(),)))


def test_jobs_of_several_nodes_are_summed(make_record):
    """A test that ran on two nodes has a row with the sum; without such a test the page has no such section."""
    parts = [
        make_record(
            100.0,
            nodeid="t.py::test_a",
            job=JobPart(launcher="slurm", key="job-9", rank=rank, size=2, local_size=1, nodes=2),
            host=HostPart(machine_id=f"m{rank}", hostname=f"node{rank}"),
        )
        for rank in range(2)
    ]
    text = html_report(Report(records=tuple(parts)))
    assert "Jobs of several nodes" in text
    assert "job-9" in text
    assert "200" in text.partition('id="nodes"')[2].partition("</table>")[0]
    assert "Jobs of several nodes" not in html_report(Report(records=(make_record(),)))


def test_the_theme_can_be_switched(tmp_path, browser, study):
    """The button changes page and charts, and nothing complains."""
    _open(browser, tmp_path / "r.html", study)
    browser.evaluate("document.getElementById('theme').click()")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
    browser.wait_for("document.querySelector('#chart-energy svg text[fill=\"#e4e9f0\"]') !== null")
    assert browser.errors == []


def test_nasty_names_do_no_harm(tmp_path, browser, make_record):
    """Markup in a test's id, a reason or a metric is text."""
    record = make_record(nodeid=NASTY, reason="</script><img src=x onerror=alert(1)>", metrics={"<b>.[x]": 1.0})
    _open(browser, tmp_path / "r.html", Report(records=(record, make_record(nodeid=NASTY)), problems=("<i>",)))
    assert browser.evaluate("document.querySelectorAll('img, b, i').length") == 0
    name = browser.evaluate("document.querySelector('#cells tbody th').textContent")
    assert name == NASTY.partition("[")[2].removesuffix("]")
    assert browser.errors == []


def test_two_hundred_cells_stay_below_three_megabytes(make_record):
    """200 cells of five repeats with 200 traces of 4000 points: below 3 MB, with the peak of each trace kept."""
    report = _study(make_record, 200, points=20)
    peak = 987.0
    values = tuple(peak if i == 2345 else 50.0 + (i * 37 % 101) / 10 for i in range(4000))
    long = Trace(names=("package-0_w", "gpu-0_w"), offsets_s=tuple(i / 100 for i in range(4000)), values=(values,) * 2)
    text = html_report(replace(report, traces=dict.fromkeys(report.traces, long)))
    assert len(text.encode()) < 3_000_000
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert len(data["traces"]) == 200
    lines = [line for trace in data["traces"].values() for line in trace["lines"].values()]
    assert all(peak in {value for _, value in line} for line in lines)


def _policy(text):
    return html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])


def test_nothing_is_fetched(study):
    """The page names no address outside of itself that a browser would load, and its policy forbids all."""
    text = html_report(study)
    assert "default-src 'none'" in _policy(text)
    body = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", body)


def test_only_the_own_script_and_style_run(study):
    """The policy names hashes: markup in the page could bring neither script nor style."""
    text = html_report(study)
    policy = _policy(text)
    assert "unsafe" not in policy
    parts = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", text, re.DOTALL)
    assert len(parts) == 3
    for part in parts:
        assert base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() in policy


def test_a_foreign_script_does_not_run(tmp_path, browser, study):
    """Even a page that somebody has changed runs no script and no handler but its own."""
    text = html_report(study).replace(
        "<main>",
        "<main><script>document.title = 'owned'</script><img src='data:,x' onerror=\"document.title='owned'\">",
    )
    (tmp_path / "r.html").write_text(text, encoding="utf-8")
    browser.open(tmp_path / "r.html")
    browser.wait_for(_DRAWN)
    assert browser.evaluate("document.title") != "owned"
    assert "Content Security Policy" in str(browser.errors)


EVIL = '"><script>alert(1)</script><b onmouseover=alert(1) x="'


def test_every_text_of_a_record_is_escaped(make_record):
    """Text in any field of a foreign record, the quality among them, is neither an element nor an attribute."""
    load = LoadReport(name=EVIL, stop=EVIL, container=EVIL, exit_codes=(1,), level=EVIL, level_asked=0.5)
    record = make_record(
        nodeid=f"t.py::t[{EVIL}]",
        cell=EVIL,
        record_id=EVIL,
        run_id=EVIL,
        reason=EVIL,
        folder=EVIL,
        status="failed",
        energy=WindowResult(total_j=1.0, total_u95_j=0.1, quality=EVIL, boundary=EVIL),
        background=(load,),
        attribution=Attribution(method=EVIL),
        meter=MeterPart(flags=(EVIL,)),
        host=HostPart(hostname=EVIL, cpu=EVIL, machine_id=EVIL),
        metrics={EVIL: 1.0},
    )
    info = RunInfo(run_id=EVIL, name=EVIL, started_at=EVIL, arguments=(EVIL,), sensors=(EVIL,), labels={EVIL: EVIL})
    comparison = compare_runs((EVIL, (record,)), (EVIL, (record,)), (parse_threshold("total_j:5%"),))
    for have in (True, False):
        text = html_report(
            Report(records=(record,), info=info if have else None, comparison=comparison, problems=(EVIL,))
        )
        found = _Elements()
        found.feed(text)
        assert "b" not in found.names
        assert not {name for name in found.attributes if name.startswith("on")}
        assert "alert(1)" not in "".join(found.scripts)


class _Elements(HTMLParser):
    """Names of all elements and attributes, and the text of scripts that run."""

    def __init__(self):
        super().__init__()
        self.names, self.attributes, self.scripts = set(), set(), []
        self._runs = False

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._runs = tag == "script" and not attrs

    def handle_endtag(self, tag):
        self._runs = False

    def handle_data(self, data):
        if self._runs:
            self.scripts.append(data)


def test_without_charts_the_tables_are_there(study, monkeypatch):
    """Without Altair the page says how to get charts, and has all its tables."""
    monkeypatch.setattr(page, "have_charts", lambda: False)
    text = html_report(study)
    assert "pip install altair vl-convert-python" in text
    assert 'id="cells"' in text
    assert len(text) < 200_000


def test_without_jinja_the_page_is_plain(study, monkeypatch, make_record):
    """Without Jinja2 there is a page with the Markdown report as text, which says what to install."""
    find_spec = document.importlib.util.find_spec
    monkeypatch.setattr(
        document.importlib.util, "find_spec", lambda name, *rest: None if name == "jinja2" else find_spec(name, *rest)
    )
    text = html_report(replace(study, problems=(EVIL,)))
    assert "pip install jinja2 altair vl-convert-python" in text
    assert "test_accuracy" in text or "resnet20" in text
    found = _Elements()
    found.feed(text)
    assert found.names == {"html", "head", "meta", "title", "body", "p", "pre"}
    assert "script-src 'none'" in _policy(text)


def test_cells_of_one_hash_are_told_apart(make_record):
    """Two versions of the code of one cell: two rows with anchors of their own, and loads that link to them."""
    load = (LoadReport(name="other/net", rounds_completed=3),)
    records = [
        make_record(
            100.0 + number, record_id=f"r{number}", repetition=number % 3, code=f"code{number // 3}", background=load
        )
        for number in range(6)
    ]
    text = html_report(Report(records=tuple(records)))
    hash_ = records[0].cell
    anchors = re.findall(r'id="((?:cell|attempts)-[^"]*)"', text)
    assert sorted(anchors) == sorted([f"{kind}-{hash_}{end}" for kind in ("cell", "attempts") for end in ("", "-2")])
    loads = text[text.index("Background loads") :]
    assert loads.count(f'href="#cell-{hash_}-2"') >= 3
    assert loads.count(f'href="#cell-{hash_}"') >= 3


def test_columns_are_looked_at_once(make_record, monkeypatch):
    """The time of a page grows with its rows, and not with their square."""
    looked = []
    is_numeric = tables._is_numeric
    monkeypatch.setattr(tables, "_is_numeric", lambda values: looked.append(1) or is_numeric(values))
    html_report(
        Report(
            records=tuple(make_record(100.0, record_id=f"{i}", cell=f"{i}", nodeid=f"t.py::t[{i}]") for i in range(40))
        )
    )
    assert len(looked) < 150


@pytest.mark.parametrize("repeats", [1, 5])
def test_no_regressions_is_good_news_only_when_settled(make_record, repeats):
    """The tile of regressions is green only where no verdict is inconclusive."""
    records = _study(make_record, 2, repeats=repeats).records
    comparison = compare_runs(("old", records), ("new", records), (parse_threshold("total_j:5%"),))
    text = html_report(Report(records=records, comparison=comparison))
    style = re.search(r'<dt>regressions</dt><dd class="(\w*)">0</dd>', text)[1]
    assert bool(comparison.inconclusive) == (repeats == 1)
    assert style == ("warn" if repeats == 1 else "good")


def test_an_empty_run_has_a_page():
    """A run without records is a page, too."""
    assert "No remarks." in html_report(Report(records=()))


def test_pairs_are_of_one_workload_and_machine(make_record):
    """Alone and beside a load are compared for the same values on the same machine alone."""
    (pair,) = load_pairs(group_cells(_study(make_record, 2).records))
    assert pair.slowdown.value == pytest.approx(80 / 60)
    assert pair.inflation.value == pytest.approx(1.8, rel=0.03)
    assert pair.interference_w is None
    assert load_pairs(group_cells([make_record(lr=1.0), make_record(lr=2.0, load=True)])) == ()


def test_interference_needs_all_legs(make_record):
    """With idle, both alone and together measured, interference is what the formula says."""
    idle = {"idle_j": 600.0, "window_s": 60.0, "quality": "counter"}
    alone = make_record(energy=WindowResult(total_j=6600.0, mean_w=110.0, **idle))
    load = (LoadReport(name="b", solo_mean_w=60.0),)
    beside = make_record(energy=WindowResult(total_j=9600.0, mean_w=160.0, **idle), background=load, cell="beside")
    (pair,) = load_pairs(group_cells([alone, beside]))
    assert pair.slowdown.value == 1.0
    assert pair.interference_w == pytest.approx((160 - 10) - (110 - 10) - (60 - 10))


def test_what_a_load_did_is_told(make_record):
    """Its rounds, how they ended, what it used, and whose joules those of the attempt were."""
    load = LoadReport(
        name="b", rounds_completed=3, rounds_failed=1, exit_codes=(0, 0, 137, 0), round_mean_s=2.5, gpu_percent=41.7
    )
    shares = Attribution(foreground_j=61.5, background_j=30.2, idle_j=10.0, method="shapley")
    markup = html_report(Report(records=(make_record(background=(load,), attribution=shares),)))
    section = markup[markup.index('id="background"') : markup.index('id="all-attempts"')]
    fields = re.findall(r"<t[dh][^>]*>(?:<a[^>]*>)?([^<]*)", section)
    assert {"3", "1", "0 × 3, 137", "2.5 s", "42 %", "61.5 J", "30.2 J", "10.0 J", "shapley"} <= set(fields)


def test_effects_are_apart_by_load(make_record):
    """Alone and beside a load are not mixed in one correlation, which is over cells, not over repeats."""
    effects = hyperparameter_effects(group_cells(_study(make_record, 12).records))
    assert [(effect.name, effect.load, effect.correlation.n) for effect in effects] == [
        ("learning_rate", "alone", 6),
        ("learning_rate", "VulBERTa/mlp", 6),
    ]


def test_effects_are_apart_by_condition(make_record):
    """A load at half of its time is not mixed with the same load at full, nor are two devices."""
    loads = [{}, {"level": "intensity", "level_asked": 0.5}, {"devices": "1"}]
    records = [
        make_record(lr=rate, load=True, cell=f"{rate}-{number}", background=(LoadReport(name="b", **load),))
        for number, load in enumerate(loads)
        for rate in (0.1, 0.2, 0.4)
    ]
    effects = hyperparameter_effects(group_cells(records))
    assert [(effect.load, len(effect.points)) for effect in effects] == [
        ("b", 3),
        ("b (intensity 0.5)", 3),
        ("b (devices 1)", 3),
    ]
