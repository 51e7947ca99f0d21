"""The chart of the energy per epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...records.progress_part import EpochEnergy
from ...statistics.grouping import Cell
from ...statistics.work_units import epoch_energies
from .axes import chart_data, finished, unit_of, whole_axis
from .chart_rows import CAPS, Chart, footnote

__all__ = ["epoch_chart"]

_MOST_POINTS = 4000
_MOST_CELLS = 6
"""Colours of the page: a seventh cell would look like the first."""


def epoch_chart(cells: Sequence[Cell], labels: Sequence[str]) -> Chart | None:
    """Return the energy of each epoch with its 95 % interval, a line per attempt; ``None`` without epochs.

    The first six cells with epochs are drawn, and of each attempt the first epochs, 4000 points in all.
    """
    drawn = [
        (label, record, epoch_energies(record))
        for cell, label in zip(cells, labels, strict=True)
        for record in cell.sample
        if epoch_energies(record)
    ]
    names = list(dict.fromkeys(label for label, _, _ in drawn))
    kept = names[:_MOST_CELLS]
    left_out = f"; the first {_MOST_CELLS} of {len(names)} cells" if len(names) > _MOST_CELLS else ""
    drawn = [(label, record, epochs) for label, record, epochs in drawn if label in kept]
    known = [epoch.joules for _, _, epochs in drawn for epoch in epochs if epoch.joules is not None]
    if not known:
        return None
    unit, factor = unit_of(known)
    most = max(2, _MOST_POINTS // len(drawn))
    rows = [row for label, record, epochs in drawn for row in _rows(label, record.record_id, epochs[:most], factor)]
    return Chart(
        key="epochs",
        title="Energy per epoch",
        caption="Energy of each epoch with its 95 % interval; the first one holds the start of the training" + left_out,
        description=f"Line chart of the energy of {len(rows)} epochs in {len(drawn)} attempts, with 95 % intervals",
        spec=finished(_layers(rows, kept, f"energy per epoch ({unit})").properties(width="container", height=260)),
        footnote=footnote(
            [cell for cell, label in zip(cells, labels, strict=True) if label in kept],
            "95 % interval of each epoch, a line per attempt,",
        ),
    )


def _rows(label: str, attempt: str, epochs: Sequence[EpochEnergy], factor: float) -> Iterator[dict[str, Any]]:
    """Yield a row of the chart for each epoch of an attempt with a known energy, in a unit of ``factor`` joules."""
    for number, epoch in enumerate(epochs, 1):
        if epoch.joules is not None:
            u95_j = epoch.u95_j or 0.0
            yield {
                "name": label, "attempt": attempt, "epoch": number, "label": epoch.name,
                "energy": epoch.joules / factor, "seconds": epoch.seconds,
                "low": max(0.0, epoch.joules - u95_j) / factor, "high": (epoch.joules + u95_j) / factor,
            }  # fmt: skip


def _layers(rows: list[dict[str, Any]], names: list[str], title: str) -> Any:
    """Return the lines and the intervals as an Altair chart; ``names`` are the cells in the order of the legend."""
    import altair as alt

    colour = alt.Color("name:N", title=None, sort=names, legend=alt.Legend(orient="top", columns=1, symbolOpacity=1))
    axis = whole_axis(max(row["epoch"] for row in rows))
    base = alt.Chart(chart_data(rows)).encode(
        x=alt.X("epoch:Q", title="epoch", axis=axis, scale=alt.Scale(zero=False, nice=False, padding=12)),
        color=colour,
    )
    lines = base.mark_line(point=True).encode(
        y=alt.Y("energy:Q", title=title),
        detail="attempt:N",
        tooltip=["name:N", alt.Tooltip("label:N", title="epoch"), alt.Tooltip("energy:Q", title=title), "seconds:Q"],
    )
    whiskers = base.mark_errorbar(ticks=CAPS, opacity=0.5).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    return whiskers + lines
