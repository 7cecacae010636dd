"""What the Triton kernels compile to, for GPUs that need not be there: registers, spills, shared memory, instruction counts.

`python -m bench.compiled` prints a table for one NVIDIA generation after another and AMD's gfx942, for K = 256 in float32.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from huenet.kernels import Bins
from huenet.kernels.fused import harmonic, histogram, joint_histogram, patch_histogram
from huenet.kernels.fused.axis import make_axis

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
#: bytes of shared memory a program may have; more than this asks for larger limits on some of the targets
SHARED_LIMIT = 48 * 1024
_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


@dataclass(frozen=True)
class Compiled:
    """One kernel compiled for one target."""

    kernel: str
    target: str
    registers: int
    spills: int
    shared: int
    matrix: int
    special: int | None
    float64: int
    atomics: int | None


def kernels(precision: str) -> dict[str, tuple[Any, dict[str, Any], int]]:
    """By name: kernel, constants, warps. Every other argument is a pointer or a plain number, told by its name."""
    axis = make_axis(Bins(256, boundary="circular"), torch.float32)
    one = {"A": axis.frozen, "PARTS": 64, "SLOTS": 16, "BLOCK": histogram.BLOCK, "ACC": tl.float32}
    two = {"X": axis.frozen, "Y": axis.frozen, "ACC": tl.float32}
    order = {"STRETCH": joint_histogram.STRETCH, **two}
    segments = {"PADDED": 256, "BLOCK": joint_histogram.BLOCK, "SEGMENT": joint_histogram.SEGMENT, "PRECISION": precision, **two}
    gradients = {"NEEDS_X": True, "NEEDS_Y": True, "NEEDS_SHARES": True, "WEIGHTED": True}
    return {
        "soft forward": (histogram._forward_kernel, {**one, "WEIGHTED": True, "PRECISION": precision}, 4),
        "soft fold": (histogram._fold_kernel, {**one, "IMAGES": axis.images}, 4),
        "soft backward": (
            histogram._backward_kernel,
            {**one, "PRECISION": precision, **{k: v for k, v in gradients.items() if k != "NEEDS_Y"}},
            4,
        ),
        "joint count": (joint_histogram._count_kernel, {"PADDED": 512, **order}, 4),
        "joint order": (joint_histogram._order_kernel, order, 4),
        "joint forward": (joint_histogram._forward_kernel, {**segments, "WEIGHTED": True}, 4),
        "joint fold": (
            joint_histogram._fold_kernel,
            {"IMAGES_X": axis.images, "IMAGES_Y": axis.images, "FOLD": joint_histogram.FOLD, **two},
            4,
        ),
        "joint backward": (joint_histogram._backward_kernel, {**segments, **gradients}, 4),
        **_harmonic_kernels(precision),
    }


def _harmonic_kernels(precision: str) -> dict[str, tuple[Any, dict[str, Any], int]]:
    """HarmonicGAN's: 16 bins, patches of 8 x 8 pixels, 4 apart; l1 and l2 distances of outputs."""
    axis = make_axis(Bins(16, boundary="reflect", window="triangular"), torch.float32)
    patches = {"A": axis.frozen, "PATCH": 8, "STRIDE": 4, "BINS": 16, "ACC": tl.float32, "PRECISION": precision}
    forward = {"PATCHES": patch_histogram.PATCHES, "PIXELS": patch_histogram.PIXELS}
    backward = {"PATCHES": patch_histogram.BACKWARD_PATCHES, "PIXELS": patch_histogram.BACKWARD_PIXELS}
    tiles = {"RATE": 4.0, "SPLITS": 16, "ROWS": harmonic.ROWS, "COLUMNS": harmonic.COLUMNS, "ACC": tl.float32}
    needs = {"NEEDS_FEATURES": True, "NEEDS_OUTPUTS": True}
    warps = harmonic.ROWS // (32 if precision == "tf32x3" else 64)  # one thread a row; AMD's warps have 64
    table = {
        "patch forward": (patch_histogram._forward_kernel, {**patches, **forward}, 4),
        "patch backward": (patch_histogram._backward_kernel, {**patches, **backward}, 4),
    }
    for distance, root in (("l1", False), ("l2", True)):
        table[f"energy {distance}"] = harmonic._forward_kernel, {**tiles, "ROOT": root}, warps
        table[f"slopes {distance}"] = harmonic._backward_kernel, {**tiles, **needs, "ROOT": root}, warps
    return table


def compile_kernel(name: str, target: str) -> Compiled:
    """Compile one of `kernels` and read what came out."""
    nvidia = target.startswith("sm")
    function, constants, warps = kernels("tf32x3" if nvidia else "ieee")[name]
    signature = {argument: _type(argument, constants) for argument in function.arg_names}
    aligned = {
        (i,): [["tt.divisibility", 16]]
        for i, (argument, kind) in enumerate(signature.items())
        if kind.startswith("*") or argument == "padded"  # which is a multiple of the block
    }
    source = ASTSource(function, signature, constexprs=constants, attrs=aligned)
    built = triton.compile(source, target=TARGETS[target], options={"num_warps": warps})
    read = _nvidia if nvidia else _amd
    return Compiled(name, target, shared=built.metadata.shared, **read(built))


def _type(argument: str, constants: dict[str, Any]) -> str:
    if argument in constants:
        return "constexpr"
    if argument in ("order_ptr", "first_ptr", "slots_ptr", "totals_ptr", "counts_ptr", "starts_ptr"):
        return "*i32"
    return "*fp32" if argument.endswith("_ptr") else "fp32" if argument == "factor" else "i32"


def _nvidia(built: Any) -> dict[str, int]:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(built.asm["cubin"])
        file.flush()
        usage = _run("cuobjdump", "-res-usage", file.name)
        code = _run("nvdisasm", "-c", file.name)
    count = lambda pattern: len(re.findall(pattern, code))  # noqa: E731
    return {
        "registers": int(re.search(r"REG:(\d+)", usage)[1]),
        "spills": count(r"\b(STL|LDL)\b"),
        "matrix": count(r"\b(HMMA|HGMMA|QGMMA|UTC\w*MMA)\b"),
        "special": count(r"\bMUFU\b"),
        "float64": count(r"\b(DFMA|DMUL|DADD|DMMA)\b"),
        "atomics": count(r"\b(RED|ATOM|ATOMG|REDG)\b"),
    }


def _amd(built: Any) -> dict[str, int | None]:
    code = built.asm["amdgcn"]
    field = lambda name: int(re.search(rf"\.{name}:\s+(\d+)", code)[1])  # noqa: E731
    return {
        "registers": field("vgpr_count"),
        "spills": field("vgpr_spill_count") + field("sgpr_spill_count"),
        "matrix": len(re.findall(r"\bv_mfma_", code)),
        "special": len(re.findall(r"\bv_(exp|rcp|log|rsq)_f32", code)),
        "float64": len(re.findall(r"\bv_(fma|mul|add)_f64", code)),
        "atomics": len(re.findall(r"\bglobal_atomic_", code)),
    }


def _run(tool: str, *arguments: str) -> str:
    return subprocess.run([_TOOLS / tool, *arguments], capture_output=True, text=True, check=True).stdout


def main() -> None:
    columns = ("target", "kernel", "registers", "spills", "shared", "matrix", "special", "float64", "atomics")
    print(f"triton {triton.__version__}, K = 256, float32, circular, logistic; static counts, not times")
    print(" ".join(f"{column:>14}" for column in columns))
    for target in TARGETS:
        for name in kernels("ieee"):
            row = compile_kernel(name, target)
            print(" ".join(f"{getattr(row, column)!s:>14}" for column in columns), flush=True)


if __name__ == "__main__":
    main()
