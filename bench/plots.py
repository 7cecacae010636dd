"""The plots of a run: growth with samples, bins, batch and bandwidth, speed-up, roofline, training step."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import tables
from .cases import HEADLINES, POINTS, SIZES, Case
from .compare import KEYS, OURS
from .compat import CALLS
from .operators import OPERATORS
from .providers import PROVIDERS
from .tables import Results
from .training_table import TITLES

STYLES = {
    "triton": ("#d62728", "o"),
    "torch": ("#ff7f0e", "o"),
    "reference": ("#8c564b", "v"),
    "naive": ("#1f77b4", "s"),
    "compiled": ("#17becf", "s"),
    "kornia": ("#2ca02c", "^"),
    "kornia_mi": ("#98df8a", "^"),
    "monai": ("#9467bd", "D"),
    "keops": ("#e377c2", "P"),
    "pot": ("#bcbd22", "X"),
    "pot_linear": ("#dbdb8d", "X"),
    "kornia_own": ("#2ca02c", "^"),
    "monai_own": ("#9467bd", "D"),
    "formula": ("#1f77b4", "s"),
    "huenet_order_1": ("#ff9896", "o"),
    "histc": ("#7f7f7f", "x"),
    "numpy": ("#7f7f7f", "+"),
}
#: by file: the field that grows, what that is, and whether of the losses of points, colors and patches
FIGURES = {
    "samples": ("side", "samples of an image", False),
    "points": ("side", "samples of an image", True),
    "bins": ("bins", "bins K", False),
    "batch": ("batch", "images in a batch", False),
    "bandwidth": ("bandwidth", "bandwidth of the window (bins)", False),
    "stride": ("stride", "pixels from one patch to the next", True),
}
PART_COLORS = ("#7f7f7f", "#1f77b4", "#9467bd", "#d62728", "#2ca02c", "#c7c7c7")


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw every plot that the run has figures for, as PNG files in the folder."""
    grown = [operator for operator in OPERATORS if operator not in CALLS]
    figures = {
        name: _growth(results, field, label, [operator for operator in grown if (operator in SIZES) == others])
        for name, (field, label, others) in FIGURES.items()
    }
    figures |= {"speedup": _speedup(results), "roofline": _roofline(results), "training": _training(results)}
    files = []
    for name, figure in figures.items():
        if figure is not None:
            files.append(folder / f"{name}.png")
            figure.savefig(files[-1], dpi=110, bbox_inches="tight")
            plt.close(figure)
    return files


def _growth(results: Results, field: str, label: str, operators: list[str]) -> Figure | None:
    """Time and memory against one field, a column an operator."""
    chosen = {operator: _series(results, operator, field) for operator in operators}
    chosen = {operator: cases for operator, cases in chosen.items() if len(cases) > 2}
    if not chosen:
        return None
    size = (1.5 + 4.6 * len(chosen), 8)
    figure, axes = plt.subplots(2, len(chosen), figsize=size, squeeze=False, sharex="col", layout="constrained")
    for column, (operator, cases) in zip(axes.T, chosen.items()):
        for name in PROVIDERS:
            rows = [(_x(case, field), row) for case in cases if (row := tables.timed(case, name)) is not None]
            _line(column[0], name, [(x, row["both"]) for x, row in rows])
            peaks = [(x, row["peak_bytes"]) for x, row in rows if row["peak_bytes"]]
            _curve(column[1], name, [(x, max(peak, tables.SMALLEST_PEAK) / 1e6) for x, peak in peaks])
        column[0].set_title(f"{tables.title(operator)}\n{_fixed(cases[0], field)}", fontsize=10)
        column[1].set_xlabel("points" if field == "side" and operator in POINTS else label)
        for axis in column:
            if field == "bandwidth":
                _extend_flat(axis)
            axis.set(xscale="log", yscale="log")
            axis.set_xticks([_x(case, field) for case in cases], [_tick(case, field) for case in cases], fontsize=8)
            axis.minorticks_off()
            axis.grid(True, which="major", alpha=0.3)
    axes[0][0].set_ylabel("seconds, forward + backward\n(median; band: p10 to p90)")
    axes[1][0].set_ylabel("peak MB beyond the inputs\n(1 MB: that or less)")
    entries = {label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels())}
    columns = min(len(entries), 5)
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns, fontsize=9, frameon=False)
    figure.suptitle(tables.where(results), fontsize=9)
    return figure


def _series(results: Results, operator: str, field: str) -> list[dict[str, Any]]:
    """The cases of the operator that differ in one field only: of all such families the one with most values."""
    families: dict[tuple[object, ...], dict[object, dict[str, Any]]] = {}
    for case in results["cases"]:
        if case["operator"] == operator:
            families.setdefault(tuple(case[key] for key in KEYS if key != field), {})[case[field]] = case
    longest = max(families.values(), key=len, default={})
    return [longest[value] for value in sorted(longest)]


def _x(case: dict[str, Any], field: str) -> float:
    return case["side"] ** 2 if field == "side" else case[field]


def _tick(case: dict[str, Any], field: str) -> str:
    if field == "side":
        return f"{case['side'] ** 2}" if case["operator"] in POINTS else f"{case['side']}²"
    return f"{case[field]:g}"


def _fixed(case: dict[str, Any], field: str) -> str:
    texts = {"side": f"{case['side']} x {case['side']}", "batch": f"batch {case['batch']}", "bins": f"K = {case['bins']}"}
    texts["bandwidth"] = f"bandwidth {case['bandwidth']:g}"
    if case["operator"] in POINTS:
        texts |= {"bins": f"{case['bins']} components", "bandwidth": ""}
    elif case["operator"] in SIZES:
        texts |= {"bins": "3 channels" if case["operator"] != "patch_histogram" else texts["bins"], "bandwidth": ""}
    elif case["side"] == 1:
        texts |= {"side": "", "batch": f"{case['batch']} histograms", "bandwidth": ""}
    return ", ".join(text for name, text in texts.items() if name != field and text)


def _line(axis: Axes, name: str, points: list[tuple[float, dict[str, float]]]) -> None:
    """Medians with a band of quantiles."""
    _curve(axis, name, [(x, time["median"]) for x, time in points])
    if points:
        band = zip(*((x, time["p10"], time["p90"]) for x, time in points))
        axis.fill_between(*band, color=STYLES[name][0], alpha=0.15, lw=0)


def _curve(axis: Axes, name: str, points: list[tuple[float, float]]) -> None:
    if points:
        color, marker = STYLES[name]
        width, order = (2.2, 3) if name in OURS else (1.2, 2)
        axis.plot(*zip(*points), color=color, marker=marker, ms=5, lw=width, label=PROVIDERS[name].title, zorder=order)


def _extend_flat(axis: Axes) -> None:
    """Dashes through single points: a dense formula does the same work for every bandwidth, and is timed at one."""
    for line in axis.get_lines():
        if len(line.get_xdata()) == 1:
            axis.axhline(line.get_ydata()[0], color=line.get_color(), ls="--", lw=0.9, zorder=1)


def _speedup(results: Results) -> Figure | None:
    """Bars: how many times huenet's time and memory the others take, under a heading for each case that all providers ran."""
    base, rows = tables.ours(results), []
    for case in results["cases"]:
        ratios = [(name, tables.speedup(case, name, base)) for name in PROVIDERS if case["tier"] in HEADLINES]
        bars = [(name, ratio) for name, ratio in ratios if ratio is not None and name != base and PROVIDERS[name].gradient]
        if bars:
            rows.append((f"{tables.title(case['operator'])}, {case['label']}", None, None, None))
            rows += [(PROVIDERS[name].title, name, ratio, tables.memory_ratio(case, name, base)) for name, ratio in bars]
    if not rows:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(12, 1.2 + 0.25 * len(rows)), sharey=True, layout="constrained")
    for axis, index, what in ((axes[0], 2, "time, forward + backward"), (axes[1], 3, "peak memory beyond the inputs")):
        values = [row[index] or 0 for row in rows]
        axis.barh(range(len(rows)), values, color=["none" if row[1] is None else STYLES[row[1]][0] for row in rows])
        for y, (row, value) in enumerate(zip(rows, values)):
            if row[1] is not None:
                axis.text(max(value, 1), y, f" {tables.times(value)}" if value else " ?", va="center", fontsize=8)
        axis.axvline(1, color="black", lw=1)
        limits = min([0.5, *(0.8 * value for value in values if value)]), 3 * max([*values, 2])
        axis.set(xscale="log", xlabel=f"{what}: times huenet's", xlim=limits)
    for label, row in zip(axes[0].set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8), rows):
        label.label1.set_fontweight("bold" if row[1] is None else "normal")
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    figure.suptitle(tables.where(results), fontsize=9)
    return figure


def _roofline(results: Results) -> Figure | None:
    """huenet's operators under the ceilings measured in the same run."""
    rates, gpu = results["rates"], results["machine"]["device"] == "cuda"
    usual = {"image": "noise", "dtype": "float32", "bandwidth": 0.4, "bins": 256}
    points = []
    for case in results["cases"]:
        operator = OPERATORS.get(case["operator"])
        if operator is None or operator.work is None or not usual.items() <= case.items():
            continue
        sized = Case(**{key: case[key] for key in (*KEYS, "tier")})
        area = 8 + 6 * (sized.batch * sized.samples).bit_length()
        for name in OURS:
            if (row := tables.timed(case, name)) is not None:
                work = operator.work(sized, name)
                points.append((case["operator"], name, work.intensity, work.operations / row["both"]["median"], area))
    if not points:
        return None
    figure, axis = plt.subplots(figsize=(9, 6), layout="constrained")
    # three products of tf32 make one of float32, which is what the kernels ask the matrix units for
    ceilings = {"float32 matrix product": rates["float32"]} | ({"tf32x3 (a third of tf32)": rates["tf32"] / 3} if gpu else {})
    lowest, highest = 0.1, 10 * max(point[2] for point in points)
    for style, (label, rate) in zip("-:", ceilings.items()):
        ridge = rate / rates["bandwidth"]
        reached, label = [lowest * rates["bandwidth"], rate, rate], f"{label}, {rate / 1e9:,.0f} GFLOP/s"
        axis.plot([lowest, ridge, highest], reached, "k" + style, lw=1.3, label=label)
    for index, operator in enumerate(dict.fromkeys(point[0] for point in points)):
        for name, marker in zip(OURS, "^o"):
            own = [point[2:] for point in points if point[:2] == (operator, name)]
            if own:
                label = f"{tables.title(operator)} ({name})"
                axis.scatter(*zip(*own), color=f"C{index}", marker=marker, alpha=0.75, label=label)
    axis.set(xscale="log", yscale="log", xlabel="operations per byte that must move (counted)", ylabel="operations a second")
    axis.set_title(f"Larger marks: more samples. Copy {rates['bandwidth'] / 1e9:,.0f} GB/s.\n{tables.where(results)}", fontsize=9)
    axis.grid(True, which="major", alpha=0.3)
    axis.legend(fontsize=8, loc="lower right")
    return figure


def _training(results: Results) -> Figure | None:
    """The parts of a training step, a bar for each kind of losses."""
    training = results.get("training")
    if not training:
        return None
    figure, axis = plt.subplots(figsize=(10, 1.3 + 0.7 * len(training["losses"])), layout="constrained")
    for y, found in enumerate(training["losses"].values()):
        left = 0.0
        for color, (part, seconds) in zip(PART_COLORS, found["parts"].items()):
            axis.barh(y, seconds, left=left, color=color, label=part if y == 0 else None)
            left += seconds
        axis.text(left, y, f" {found['images_per_second']:.3g} images/s", va="center", fontsize=9)
    axis.set_yticks(range(len(training["losses"])), [f"{TITLES[name]} losses" for name in training["losses"]])
    axis.invert_yaxis()
    axis.set_xlim(right=1.15 * axis.get_xlim()[1])
    axis.set(xlabel="seconds of a training step (means)")
    size = f"{training['size']} x {training['size']}, batch {training['batch']}, K = {training['bins']}"
    axis.set_title(f"preset {training['preset']}, {size}\n{tables.where(results)}", fontsize=9)
    axis.legend(ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.35), frameon=False, fontsize=9)
    return figure
