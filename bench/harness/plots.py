"""One plot for each row: bars with the physical limit drawn through them, or lines over the row's axis."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.harness.figures import figure
from bench.harness.results import Results
from bench.harness.row import Curve, Measurement, Row
from bench.rows import ROWS

__all__ = ["draw_plots"]

PERCENTILE = "percentile"

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, OURS_IN_ANOTHER_FORM, THEIRS, LIMIT = "#c2410c", "#fdba74", "#94a3b8", "#0f172a"
LOGARITHMIC_AXIS_FROM = 10.0
WIDTH_INCHES, BAR_INCHES, FRAME_INCHES, CURVE_INCHES = 9.0, 0.34, 0.8, 3.6
TRACE_INCHES = 4.6
STACK_INCHES = 1.6
FAR = 5.0
"""A limit that is so many times the longest bar is only named: its line would leave the bars no room."""
LOGARITHMIC_FROM = 200.0
"""Bars that are this many times apart are drawn on a logarithmic axis; else the short ones could not be seen."""


def draw_plots(results: Results, folder: Path) -> None:
    """Write `<key>.svg` for every row that has figures, the same bytes for the same figures.

    Raises:
        ModuleNotFoundError: without matplotlib.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "act-fast", "svg.fonttype": "none", "font.size": 9}
    folder.mkdir(parents=True, exist_ok=True)
    for key, row in ROWS.items():
        measured = [each for each in results.measured.get(key, ()) if each.values]
        if row.trace and key in results.curves:
            draw(folder / f"{key}.svg", TRACE_INCHES, row, results.curves[key], draw_traces)
        elif key in results.curves:
            draw(folder / f"{key}.svg", CURVE_INCHES, row, results.curves[key], draw_curves)
        elif measured and row.stacked:
            draw(folder / f"{key}.svg", STACK_INCHES, row, measured, draw_stack)
        elif measured:
            draw(folder / f"{key}.svg", FRAME_INCHES + BAR_INCHES * len(measured), row, measured, draw_bars)


def draw(path: Path, height_inches: float, row: Row, content: Sequence, fill: object) -> None:
    from matplotlib import pyplot

    canvas, axes = pyplot.subplots(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    fill(axes, row, content)
    canvas.savefig(path, metadata={"Date": None})
    pyplot.close(canvas)


def draw_bars(axes: "Axes", row: Row, measured: Sequence[Measurement]) -> None:
    limit = next((each for each in measured if each.name == row.physical), None)
    bars = [each for each in measured if each is not limit]
    middles = [each.middle for each in bars]
    lows = [each.middle - min(each.values) for each in bars]
    highs = [max(each.values) - each.middle for each in bars]
    drawn = axes.barh(
        [f"{each.name}\n{each.durability}" for each in bars],
        middles,
        xerr=[lows, highs],
        color=[colour(index, each) for index, each in enumerate(bars)],
        error_kw={"elinewidth": 0.8, "ecolor": "#475569"},
    )
    axes.bar_label(drawn, [figure(each) for each in middles], padding=4, fontsize=8)
    axes.tick_params(axis="y", labelsize=7)
    axes.invert_yaxis()
    if min(middles) > 0 and max(middles) / min(middles) > LOGARITHMIC_FROM:
        axes.set_xscale("log")
    if limit is not None:
        said = f"{limit.name}: {figure(limit.middle)}"
        where: dict[str, object] = {"ha": "right", "va": "bottom", "fontsize": 7}
        if limit.middle <= FAR * max(middles):
            axes.axvline(limit.middle, color=LIMIT, linestyle="--", linewidth=1)
            axes.annotate(said, (limit.middle, 1.0), xycoords=("data", "axes fraction"), **where)
        else:
            axes.annotate(f"far to the right: {said}", (1.0, 1.0), xycoords="axes fraction", **where)
    axes.set_xlabel(f"{row.unit} ({'more' if row.more_is_better else 'less'} is better)")


def draw_stack(axes: "Axes", row: Row, measured: Sequence[Measurement]) -> None:
    from matplotlib import colormaps

    start = 0.0
    for index, each in enumerate(measured):
        shade = colormaps["Oranges"](0.75 - 0.6 * index / len(measured))
        axes.barh([""], [each.middle], left=start, color=[shade], label=f"{each.name}: {figure(each.middle)}")
        start += each.middle
    axes.set_xlim(0, start)
    axes.spines[["left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(row.unit)
    axes.legend(fontsize=7, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))


def colour(index: int, measurement: Measurement) -> str:
    if index == 0:
        return OURS
    return OURS_IN_ANOTHER_FORM if measurement.name.startswith("act-fast") else THEIRS


def draw_curves(axes: "Axes", row: Row, curves: Sequence[Curve]) -> None:
    places = [place for place, _ in curves[0].points]
    side_by_side = row.axis == PERCENTILE  # else the last few, which matter most, would lie on each other
    for curve in curves:
        where = range(len(places)) if side_by_side else places
        axes.plot(where, [y for _, y in curve.points], marker="o", markersize=3, linewidth=1.2, label=curve.name)
    values = [value for curve in curves for _, value in curve.points]
    if side_by_side:
        axes.set_xticks(range(len(places)), [f"{place:g}" for place in places])
    elif min(places) > 0 and max(places) / min(places) >= LOGARITHMIC_AXIS_FROM:
        axes.set_xscale("log")
    if min(values) > 0 and max(values) / min(values) > LOGARITHMIC_FROM:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(row.axis)
    axes.set_ylabel(f"{row.unit} ({'more' if row.more_is_better else 'less'} is better)")
    axes.legend(fontsize=7, frameon=False)


def draw_traces(axes: "Axes", row: Row, traces: Sequence[Curve]) -> None:
    """Steps in colours of their kind: the first word of their names."""
    from matplotlib import colormaps

    kinds = list(dict.fromkeys(kind(trace) for trace in traces))
    colours = colormaps["tab10"]
    for trace in traces:
        same = [each for each in traces if kind(each) == kind(trace)]
        place = same.index(trace)
        first = trace is traces[0]
        axes.step(
            *zip(*trace.points, strict=True),
            where="post",
            label=trace.name,
            color=LIMIT if first else colours(kinds.index(kind(trace)) - 1),
            linewidth=2.6 if first else 1.3,
            linestyle="-" if place == 0 else ["--", ":", "-."][(place - 1) % 3],
            alpha=0.35 if first else 0.9,
        )
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.set_xlabel(row.axis)
    axes.set_ylabel(row.unit)
    axes.legend(fontsize=7, frameon=False, loc="lower right", ncols=2)


def kind(trace: Curve) -> str:
    return trace.name.partition("-")[0]
