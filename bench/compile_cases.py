"""The kernels that `python -m bench compile` compiles, one function an operator, and how much work each does in the benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import triton
import triton.language as tl

from huenet.kernels import Bins
from huenet.kernels.fused import (
    contextual,
    dense,
    emd,
    harmonic,
    histogram,
    joint_histogram,
    mutual_information,
    order,
    patch_histogram,
)
from huenet.kernels.fused import squared_mutual_information as rsmi
from huenet.kernels.fused.axis import Axis, make_axis
from huenet.kernels.rulsif import Estimator

BATCH, SAMPLES = 32, 256 * 256
#: pointers to int32; every other `..._ptr` points to float32
INDICES = {"order_ptr", "totals_ptr", "counts_ptr", "winner_ptr", "nearest_ptr"}
#: numbers that are multiples of 16
ALIGNED = {"padded"}


@dataclass(frozen=True)
class Case:
    """A kernel with its constants; every other argument is a pointer or a plain number, told by its name."""

    name: str
    function: Any
    constants: dict[str, Any]
    warps: int = 4
    #: what one turn of the program's loop, or the program without one, works on
    unit: str = "sample"
    units: int = 1
    #: so many units in all, in the benchmark's case; 0 keeps the kernel out of the estimate
    work: float = 0
    #: whether it has matrix products
    matrix: bool = False
    #: whether it computes in float64
    exact: bool = False
    #: warps on AMD, which are twice as wide, where they go by the number of threads
    amd_warps: int | None = None
    types: dict[str, str] = field(default_factory=dict)

    def type_of(self, argument: str) -> str:
        if argument in self.constants:
            return "constexpr"
        if argument in self.types:
            return self.types[argument]
        if argument in INDICES:
            return "*i32"
        return "*fp32" if argument.endswith("_ptr") else "i32"


def cases() -> list[Case]:
    histograms = [*_soft_histogram(), *_joint_histogram(), *_mutual_information(), *_dense()]
    return [*histograms, *_squared_mutual_information(), *_contextual(), *_harmonic()]


#: configurations beside the benchmark's whose largest kernels are compiled: other windows, boundaries, counts and reaches
VARIANTS = {
    "": {},
    ", gaussian": {"window": "gaussian"},
    ", bspline, reflect": {"window": "bspline", "boundary": "reflect"},
    ", triangular, open": {"window": "triangular", "boundary": "open"},
    ", narrow": {"bandwidth": 0.1},
    ", wide": {"bandwidth": 2.0},
    ", K = 1024": {"count": 1024},
}


def _axis(**changes: Any) -> Axis:
    return make_axis(Bins(**{"count": 256, "boundary": "circular", **changes}), torch.float32)


def _soft_histogram() -> list[Case]:
    h, found = histogram, []
    pixels = BATCH * SAMPLES
    for label, changes in VARIANTS.items():
        axis = _axis(**changes)
        slots = h.padded_slots(axis)
        one = {"A": axis.frozen, "SLOTS": slots, "ACC": tl.float32}
        product = {**one, "BLOCK": h.BLOCK, "PRECISION": None, "WEIGHTED": bool(label)}
        fold = {**one, "IMAGES": axis.images, "PARTS_AT_ONCE": h.PARTS_AT_ONCE}
        gradients = {"NEEDS_X": True, "NEEDS_SHARES": bool(label), "IN_TWO": True}
        block = {"warps": h.warps(slots, torch.float32), "units": h.BLOCK, "work": 0 if label else pixels, "matrix": True}
        found += [
            Case("soft forward" + label, h._forward_kernel, product, **block),
            Case("soft backward" + label, h._backward_kernel, {**product, **gradients}, **block),
            Case("soft fold" + label, h._fold_kernel, {**fold, "FOLD": h.FOLD}, unit="cell", units=h.FOLD * h.PARTS_AT_ONCE),
        ]
        padded = 1024 if axis.COUNT > 256 else 256
        distance = {**fold, "PADDED": padded, "PARTS_AT_ONCE": max(emd._CELLS // padded, 1), "CIRCULAR": True}
        found.append(Case("emd" + label, emd._distance_kernel, distance, warps=emd.WARPS, unit="cell", units=emd._CELLS))
    return found


def _joint_histogram() -> list[Case]:
    j, o, found = joint_histogram, order, []
    pixels, stretches = BATCH * SAMPLES, BATCH * SAMPLES // order.STRETCH
    for label, changes in VARIANTS.items():
        axis = _axis(**changes)
        pairs = axis.SLOTS**2
        padded = triton.next_power_of_2(pairs + 1)
        two = {"X": axis.frozen, "Y": axis.frozen, "ACC": tl.float32}
        ordering, work = {"STRETCH": o.STRETCH, **two}, 0 if label else pixels
        counts, offsets = 0 if label else stretches * 257, {"PAIRS": pairs, "PADDED": padded, "SEGMENT": o.SEGMENT}
        counting = {"PADDED": padded, "COUNTED": min(padded, o._COUNTED)}
        scan = {"PAIRS": pairs, "SCANNED": o._SCANNED, "COLUMNS": o._COLUMNS}
        forward = {
            **two, "PADDED": triton.next_power_of_2(pairs), "SEGMENT": o.SEGMENT, "PRECISION": None, "WEIGHTED": bool(label),
            "EDGES": bool(label), "BLOCK": j.FORWARD_BLOCK,
        }  # fmt: skip
        gradients = {"NEEDS_X": True, "NEEDS_Y": True, "NEEDS_SHARES": bool(label), "INFORMATION": True}
        block = j.backward_block(bool(label), bool(label))
        fold = {
            **two, "IMAGES_X": axis.images, "IMAGES_Y": axis.images, "FOLD": j.FOLD, "WEIGHTED": bool(label), "INFORMATION": True,
        }  # fmt: skip
        found += [
            Case("count" + label, o._count_kernel, {**ordering, **counting}, units=o.STRETCH, work=work),
            Case("scan" + label, o._scan_kernel, scan, unit="count", units=o._SCANNED * o._COLUMNS, work=counts),
            Case("offsets" + label, o._offsets_kernel, offsets, unit="pair", units=pairs),
            Case("order" + label, o._order_kernel, ordering, units=o.STRETCH, work=work),
            Case(
                "joint forward" + label, j._forward_kernel, forward, j.forward_warps(torch.float32, bool(label)),
                units=j.FORWARD_BLOCK, work=work, matrix=True,
            ),
            Case("joint fold" + label, j._fold_kernel, fold, 1, unit="cell", units=j.FOLD**2, work=0 if label else BATCH * 256**2),
            Case(
                "joint backward" + label, j._backward_kernel, {**forward, **gradients, "BLOCK": block},
                j.backward_warps(torch.float32, not label), units=block, work=work, matrix=True,
            ),
        ]  # fmt: skip
    return found


def _mutual_information() -> list[Case]:
    m, axis = mutual_information, _axis()
    two = {"X": axis.frozen, "Y": axis.frozen, "ACC": tl.float32}
    edges = {**two, "IMAGES": axis.images, "FOLD": joint_histogram.FOLD}
    backward = {
        **two, "PADDED": 256, "SEGMENT": order.SEGMENT, "PRECISION": None, "WEIGHTED": True, "EDGES": True, "INFORMATION": True,
        "NEEDS_X": True, "NEEDS_Y": True, "NEEDS_SHARES": True, "BLOCK": joint_histogram.backward_block(True, True),
    }  # fmt: skip
    terms = {**two, "PADDED_X": 256, "PADDED_Y": 256, "AT_ONCE": m._AT_ONCE, "EDGES": True}
    return [
        Case("information terms", m._terms_kernel, terms, 8, unit="cell", units=256 * m._AT_ONCE),
        Case(
            "information backward", joint_histogram._backward_kernel, backward,
            joint_histogram.backward_warps(torch.float32, False), units=backward["BLOCK"], matrix=True,
        ),
        Case("information edges of x", m._edges_kernel, {**edges, "ALONG_X": True}, 1, unit="bin", units=joint_histogram.FOLD),
        Case("information edges of y", m._edges_kernel, {**edges, "ALONG_X": False}, 1, unit="bin", units=joint_histogram.FOLD),
    ]  # fmt: skip


def _dense() -> list[Case]:
    d, found = dense, []
    for label, changes in {
        "dense K = 32": {"count": 32},
        "dense K = 256, wide": {"bandwidth": 20.0},
        "dense K = 7, gaussian": {"count": 7, "window": "gaussian", "boundary": "reflect"},
    }.items():
        axis = _axis(**changes)
        spans, images = d._spans(axis), d._images(axis)
        one = {"A": axis.frozen, "SPANS": spans, "IMAGES": images, "BLOCK": d.BLOCK, "WEIGHTED": True, "ACC": tl.float32}
        two = {
            "X": axis.frozen, "Y": axis.frozen, "SPANS_X": spans, "SPANS_Y": spans, "IMAGES_X": images, "IMAGES_Y": images,
            "BLOCK": d.BLOCK, "WEIGHTED": True, "ACC": tl.float32, "PRECISION": None,
        }  # fmt: skip
        gradients, warps = {"NEEDS_X": True, "NEEDS_SHARES": True}, d.joint_warps(torch.float32)
        found += [
            Case(f"soft forward, {label}", d._soft_forward_kernel, one, 1, units=d.BLOCK),
            Case(f"soft backward, {label}", d._soft_backward_kernel, {**one, **gradients}, 1, units=d.BLOCK),
            Case(f"joint forward, {label}", d._joint_forward_kernel, two, warps, units=d.BLOCK, matrix=True),
            Case(
                f"joint backward, {label}", d._joint_backward_kernel, {**two, **gradients, "NEEDS_Y": True}, warps, units=d.BLOCK,
                matrix=True,
            ),
        ]  # fmt: skip
    return found


def _squared_mutual_information() -> list[Case]:
    """For 9 and the most centres; "exact" in float64, as for sign=1."""
    found, wide = [], {"centers": rsmi.MOST_CENTERS}
    for label, options in {"": {}, ", wide": wide, " exact": {"sign": 1}, " exact, wide": {**wide, "sign": 1}}.items():
        estimator, exact = Estimator(**options), "exact" in label
        plan = rsmi.schedule(estimator, torch.float32)
        shared = {
            "G": rsmi.make_grid(estimator).frozen, "PART": rsmi.LONGEST, "ACC": plan.acc, "PRECISION": "ieee" if exact else None,
        }  # fmt: skip
        double = dict.fromkeys(("sums_ptr", "slopes_ptr", "scale_ptr"), "*fp64") if exact else {}
        options = {"matrix": not exact, "exact": exact, "types": double}
        found += [
            Case(
                "rsmi moments" + label, rsmi._moments_kernel, {**shared, "BLOCK": plan.block}, plan.warps, units=plan.block,
                **options,
            ),
            Case(
                "rsmi backward" + label, rsmi._backward_kernel, {**shared, "SIDE": 1, "BLOCK": plan.block_backward},
                plan.warps_backward, units=plan.block_backward, **options,
            ),
        ]  # fmt: skip
    return found


def _contextual() -> list[Case]:
    """Contextual similarity, any number of channels."""
    c, found = contextual, []
    for metric, warps in c.WARPS.items():
        shared = {"METRIC": metric, "BLOCK": c.BLOCK, "CHUNK": c.CHUNK, "ACC": tl.float32, "PRECISION": None}
        gradient = {"MATCHED": True, "OTHERS": c.OTHERS[metric], "WIDTH": c.WIDTH, **shared}
        options = {"warps": warps, "matrix": metric == "l2", "unit": "channel", "units": c.BLOCK * c.CHUNK}
        found += [
            Case(f"contextual {metric} rows", c._rows_kernel, {"BANDWIDTH": 0.5, "EPS": 1e-5, **shared}, **options),
            Case(f"contextual {metric} columns", c._columns_kernel, shared, **options),
            Case(f"contextual {metric} dx", c._gradient_kernel, {"OF_X": True, **gradient}, **options),
            Case(f"contextual {metric} dy", c._gradient_kernel, {"OF_X": False, **gradient}, **options),
        ]
    return [*found, Case("contextual matches", c._matches_kernel, {"BLOCK": c.BLOCK, "ACC": tl.float32}, unit="row", units=c.BLOCK)]


def _harmonic() -> list[Case]:
    """HarmonicGAN's: 16 bins, patches of 8 x 8 pixels, 4 apart; l1 and l2 distances of outputs."""
    axis = make_axis(Bins(16, boundary="reflect", window="triangular"), torch.float32)
    patches = {"A": axis.frozen, "PATCH": 8, "STRIDE": 4, "BINS": 16, "ACC": tl.float32, "PRECISION": None}
    forward = {"PATCHES": patch_histogram.PATCHES, "PIXELS": patch_histogram.PIXELS}
    backward = {"PATCHES": patch_histogram.BACKWARD_PATCHES, "PIXELS": patch_histogram.BACKWARD_PIXELS}
    tiles = {"RATE": 4.0, "SPLITS": 16, "ROWS": harmonic.ROWS, "COLUMNS": harmonic.COLUMNS, "ACC": tl.float32}
    needs = {"NEEDS_FEATURES": True, "NEEDS_OUTPUTS": True}
    found = [
        Case("patch forward", patch_histogram._forward_kernel, {**patches, **forward}, units=forward["PIXELS"], matrix=True),
        Case("patch backward", patch_histogram._backward_kernel, {**patches, **backward}, units=backward["PIXELS"], matrix=True),
    ]
    # one thread a row
    options = {"warps": harmonic.ROWS // 32, "amd_warps": harmonic.ROWS // 64, "unit": "pair", "units": harmonic.ROWS}
    for distance, root in (("l1", False), ("l2", True)):
        found += [
            Case(f"energy {distance}", harmonic._forward_kernel, {**tiles, "ROOT": root}, **options),
            Case(f"slopes {distance}", harmonic._backward_kernel, {**tiles, **needs, "ROOT": root}, **options),
        ]
    return found
