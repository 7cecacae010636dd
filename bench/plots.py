"""The plots of a run: growth with samples, bins, batch and bandwidth, speed-up, roofline, training step."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from . import costs, tables
from .cases import HEADLINES, POINTS, SIZES
from .compare import KEYS
from .operators import OPERATORS
from .providers import PROVIDERS
from .tables import Results

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
    "huenet_order_1": ("#ff9896", "o"),
    "histc": ("#7f7f7f", "x"),
    "numpy": ("#7f7f7f", "+"),
}
GROWTH = {
    "side": "samples of an image",
    "bins": "bins K",
    "batch": "images in a batch",
    "bandwidth": "bandwidth of the window (bins)",
    "stride": "pixels from one patch to the next",
}
#: by file: the field that grows, and whether of the losses of points, colors and patches
FIGURES = {
    "samples": ("side", False),
    "points": ("side", True),
    "bins": ("bins", False),
    "batch": ("batch", False),
    "bandwidth": ("bandwidth", False),
    "stride": ("stride", True),
}
PART_COLORS = ("#7f7f7f", "#1f77b4", "#9467bd", "#d62728", "#2ca02c", "#c7c7c7")


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw every plot that the run has figures for, as PNG files in the folder."""
    figures = {
        name: _growth(results, field, [operator for operator in OPERATORS if (operator in SIZES) == others])
        for name, (field, others) in FIGURES.items()
    }
    figures |= {"speedup": _speedup(results), "roofline": _roofline(results), "training": _training(results)}
    files = []
    for name, figure in figures.items():
        if figure is not None:
            files.append(folder / f"{name}.png")
            figure.savefig(files[-1], dpi=110, bbox_inches="tight")
            plt.close(figure)
    return files


def _growth(results: Results, field: str, operators: list[str]) -> Figure | None:
    """Time and memory against one field, a column an operator."""
    chosen = {operator: _series(results, operator, field) for operator in operators}
    chosen = {operator: cases for operator, cases in chosen.items() if len(cases) > 2}
    if not chosen:
        return None
    figure, axes = plt.subplots(
        2, len(chosen), figsize=(1.5 + 4.6 * len(chosen), 8), squeeze=False, sharex="col", layout="constrained"
    )
    for column, (operator, cases) in zip(axes.T, chosen.items()):
        for name in PROVIDERS:
            points = [(_x(case, field), tables.timed(case, name)) for case in cases]
            _line(column[0], name, [(x, row["both"]) for x, row in points if row is not None])
            _curve(
                column[1],
                name,
                [(x, max(row["peak_bytes"], tables.SMALLEST_PEAK) / 1e6) for x, row in points if row and row["peak_bytes"]],
            )
        column[0].set_title(f"{tables.title(operator)}\n{_fixed(cases[0], field)}", fontsize=10)
        column[1].set_xlabel("points" if field == "side" and operator in POINTS else GROWTH[field])
        for axis in column:
            if field == "bandwidth":
                _extend_flat(axis)
            axis.set(xscale="log", yscale="log")
            axis.set_xticks(
                sorted({_x(case, field) for case in cases}), [_tick(case, field) for case in _by(cases, field)], fontsize=8
            )
            axis.minorticks_off()
            axis.grid(True, which="major", alpha=0.3)
    axes[0][0].set_ylabel("seconds, forward + backward\n(median; band: p10 to p90)")
    axes[1][0].set_ylabel("peak MB beyond the inputs\n(1 MB: that or less)")
    _legend(figure, axes.flat)
    figure.suptitle(_where(results), fontsize=9)
    return figure


def _series(results: Results, operator: str, field: str) -> list[dict[str, Any]]:
    """The cases of the operator that differ in one field only: of all such families the one with most values."""
    families: dict[tuple[object, ...], dict[object, dict[str, Any]]] = {}
    for case in results["cases"]:
        if case["operator"] == operator:
            families.setdefault(tuple(case[key] for key in KEYS if key != field), {})[case[field]] = case
    return _by(max(families.values(), key=len, default={}).values(), field)


def _by(cases: Iterable[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    return sorted(cases, key=lambda case: case[field])


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
        axis.fill_between(
            [x for x, _ in points],
            [t["p10"] for _, t in points],
            [t["p90"] for _, t in points],
            color=STYLES[name][0],
            alpha=0.15,
            lw=0,
        )


def _curve(axis: Axes, name: str, points: list[tuple[float, float]]) -> None:
    if points:
        color, marker = STYLES[name]
        bold = name in ("triton", "torch")
        axis.plot(
            *zip(*points),
            color=color,
            marker=marker,
            ms=5,
            lw=2.2 if bold else 1.2,
            label=PROVIDERS[name].title,
            zorder=3 if bold else 2,
        )


def _extend_flat(axis: Axes) -> None:
    """Dashes through single points: a dense formula does the same work for every bandwidth, and is timed at one."""
    for line in axis.get_lines():
        if len(line.get_xdata()) == 1:
            axis.axhline(line.get_ydata()[0], color=line.get_color(), ls="--", lw=0.9, zorder=1)


def _legend(figure: Figure, axes: Iterable[Axes]) -> None:
    entries = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())}
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=min(len(entries), 5), fontsize=9, frameon=False
    )


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
        axis.set(
            xscale="log",
            xlabel=f"{what}: times huenet's",
            xlim=(min([0.5, *(0.8 * v for v in values if v)]), 3 * max([*values, 2])),
        )
    for label, row in zip(axes[0].set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=8), rows):
        label.label1.set_fontweight("bold" if row[1] is None else "normal")
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    figure.suptitle(_where(results), fontsize=9)
    return figure


def _roofline(results: Results) -> Figure | None:
    """huenet's operators under the ceilings measured in the same run."""
    rates, gpu = results["rates"], results["machine"]["device"] == "cuda"
    points = []
    for case in results["cases"]:
        operator = OPERATORS.get(case["operator"])
        for name in ("triton", "torch") if operator is not None and operator.work is not None else ():
            row = tables.timed(case, name)
            if (
                row is not None
                and case["image"] == "noise"
                and case["dtype"] == "float32"
                and case["bandwidth"] == 0.4
                and case["bins"] == 256
            ):
                work = operator.work(_Case(case), costs.reach(_Case(case), "open", name))
                points.append((case, name, work.intensity, work.operations / row["both"]["median"]))
    if not points:
        return None
    figure, axis = plt.subplots(figsize=(9, 6), layout="constrained")
    # three products of tf32 make one of float32, which is what the kernels ask the matrix units for
    ceilings = {"float32 matrix product": rates["float32"]} | ({"tf32x3 (a third of tf32)": rates["tf32"] / 3} if gpu else {})
    lowest, highest = 0.1, 10 * max(point[2] for point in points)
    for style, (label, rate) in zip("-:", ceilings.items()):
        ridge = rate / rates["bandwidth"]
        axis.plot(
            [lowest, ridge, highest],
            [lowest * rates["bandwidth"], rate, rate],
            "k" + style,
            lw=1.3,
            label=f"{label}, {rate / 1e9:,.0f} GFLOP/s",
        )
    for index, operator in enumerate(dict.fromkeys(point[0]["operator"] for point in points)):
        for name in ("triton", "torch"):
            own = [point for point in points if point[0]["operator"] == operator and point[1] == name]
            sizes = [12 + 9 * (point[0]["side"] ** 2 * point[0]["batch"]).bit_length() for point in own]
            axis.scatter(
                [p[2] for p in own],
                [p[3] for p in own],
                s=[2 * s / 3 for s in sizes],
                alpha=0.75,
                color=f"C{index}",
                marker="o" if name == "torch" else "^",
                label=f"{tables.title(operator)} ({name})" if own else None,
            )
    axis.set(xscale="log", yscale="log", xlabel="operations per byte that must move (counted)", ylabel="operations a second")
    axis.set_title(f"Larger marks: more samples. Copy {rates['bandwidth'] / 1e9:,.0f} GB/s.\n{_where(results)}", fontsize=9)
    axis.grid(True, which="major", alpha=0.3)
    axis.legend(fontsize=8, loc="lower right")
    return figure


def _Case(case: dict[str, Any]) -> Any:
    from .cases import Case

    return Case(**{key: case[key] for key in (*KEYS, "tier")})


def _training(results: Results) -> Figure | None:
    """The parts of a training step, a bar for each kind of losses."""
    training = results.get("training")
    if not training:
        return None
    from .training_table import TITLES

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
    axis.set_title(f"preset {training['preset']}, {size}\n{_where(results)}", fontsize=9)
    axis.legend(ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.35), frameon=False, fontsize=9)
    return figure


def _where(results: Results) -> str:
    return tables.where(results)
