"""The training step's profile as a table, and what it says."""

from typing import Any

from . import tables

TITLES = {"huenet": "huenet", "naive": "naive PyTorch", "reference": "huenet reference"}


def table(training: dict[str, Any]) -> str:
    """A row for each kind of losses: the step, its parts, images a second, and the share of the machine's matrix rate."""
    base, first = next(iter(training["losses"].items()))
    parts, fastest = list(first["parts"]), first["step"]["median"]
    rows = []
    for name, found in training["losses"].items():
        whole = sum(found["parts"].values())
        step = tables.duration(found["step"]["median"])
        if name != base:
            step += f" ({tables.times(found['step']['median'] / fastest)})"
        shares = [f"{tables.duration(found['parts'][part])} ({found['parts'][part] / whole:.0%})" for part in parts]
        rows.append([TITLES[name], step, *shares, f"{found['images_per_second']:.3g}", f"{found['mfu']:.1%}"])
    return tables.markdown(["losses", "step", *parts, "images/s", "MFU"], rows)


def about(training: dict[str, Any]) -> str:
    """What the table shows."""
    flops = next(iter(training["losses"].values()))["flops"]
    size = f"{training['size']} x {training['size']}, batch {training['batch']}, K = {training['bins']} for both losses"
    return (
        f"Preset {training['preset']}, {size}; medians of steps, means of parts. The networks count {flops / 1e9:.3g} GFLOP a step "
        f"(torch's counter; histograms not counted); MFU is that over the matrix rate measured in {training['precision']} in the "
        "same run."
    )
