"""The kernels that `python -m bench compile` compiles, one function an operator, and how much work each does in the benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import triton
import triton.language as tl

from huenet.kernels import Bins
from huenet.kernels.fused import dense, emd, histogram, joint_histogram, mutual_information, order
from huenet.kernels.fused.axis import Axis, make_axis

BATCH, SAMPLES = 32, 256 * 256
#: pointers to int32; every other `..._ptr` points to float32
INDICES = {"order_ptr", "first_ptr", "slots_ptr", "totals_ptr", "counts_ptr", "starts_ptr"}
#: scalars that are float32; every other scalar is an int32
FACTORS = {"factor"}


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
    types: dict[str, str] = field(default_factory=dict)

    def type_of(self, argument: str) -> str:
        if argument in self.constants:
            return "constexpr"
        if argument in self.types:
            return self.types[argument]
        if argument in INDICES:
            return "*i32"
        return "*fp32" if argument.endswith("_ptr") else "fp32" if argument in FACTORS else "i32"


def cases() -> list[Case]:
    return [*_soft_histogram(), *_joint_histogram(), *_mutual_information(), *_dense()]


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
                "joint backward" + label, j._backward_kernel, {**forward, **gradients, "BLOCK": j.BACKWARD_BLOCK},
                j.backward_warps(torch.float32, not label), units=j.BACKWARD_BLOCK, work=work, matrix=True,
            ),
        ]  # fmt: skip
    return found


def _mutual_information() -> list[Case]:
    m, axis = mutual_information, _axis()
    two = {"X": axis.frozen, "Y": axis.frozen, "ACC": tl.float32}
    edges = {**two, "IMAGES": axis.images, "FOLD": joint_histogram.FOLD}
    terms = {**two, "PADDED_X": 256, "PADDED_Y": 256, "AT_ONCE": m._AT_ONCE, "EDGES": True}
    return [
        Case("information terms", m._terms_kernel, terms, 8, unit="cell", units=256 * m._AT_ONCE),
        Case("information edges of x", m._edges_kernel, {**edges, "ALONG_X": True}, 1, unit="bin", units=joint_histogram.FOLD),
        Case("information edges of y", m._edges_kernel, {**edges, "ALONG_X": False}, 1, unit="bin", units=joint_histogram.FOLD),
    ]


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
