"""What the Triton kernels compile to, for GPUs that need not be there.

`python -m bench compile` prints, for every kernel, several NVIDIA generations and AMD's gfx942: registers, spills, shared memory,
matrix, special-function, float64 and atomic instructions, and how many instructions a sample (or histogram cell) costs; then, for
the benchmark's case, how long an NVIDIA GPU would issue instructions if nothing else took time. These are counts of compiled code
and estimates from them, not measurements: launches, memory, latencies and idle multiprocessors are not in them.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from bench.compile_cases import ALIGNED, Case, cases

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
#: multiprocessors (of four schedulers, one instruction a clock each) and boost clock in GHz, from the vendors' data sheets
DEVICES = {"sm_80": ("A100", 108, 1.41), "sm_90": ("H200", 132, 1.98), "sm_100": ("B200", 148, 1.965)}
#: bytes of shared memory a program may have; more than this asks for larger limits on some of the targets
SHARED_LIMIT = 48 * 1024
_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


@dataclass(frozen=True)
class Compiled:
    """One kernel compiled for one target."""

    case: Case
    target: str
    registers: int
    spills: int
    shared: int
    matrix: int
    special: int
    float64: int
    atomics: int
    instructions: int
    loop: int  # instructions in its longest innermost loop, 0 without one

    @property
    def per_unit(self) -> float:
        """Instructions that all warps of a program issue for one sample or cell: the loop's, or the whole program's without one."""
        return (self.loop or self.instructions) * self.case.warps / self.case.units

    def microseconds(self, units: float) -> float:
        """Time to issue the instructions of so many samples or cells on the whole device."""
        _, multiprocessors, clock = DEVICES[self.target]
        return units * self.per_unit / (multiprocessors * 4 * clock * 1e3)


def compile_case(case: Case, target: str) -> Compiled:
    """Compile one of the `cases` and read what came out."""
    nvidia = target.startswith("sm")
    constants = {**case.constants}
    if constants.get("PRECISION", "") is None:
        constants["PRECISION"] = "tf32x3" if nvidia else "ieee"
    warps = case.warps if nvidia else case.amd_warps or case.warps
    built = build(dataclasses.replace(case, constants=constants, warps=warps), target)
    read = _nvidia if nvidia else _amd
    return Compiled(case, target, shared=built.metadata.shared, **read(built))


def build(case: Case, target: str) -> Any:
    """Triton's compiled kernel."""
    signature = {argument: case.type_of(argument) for argument in case.function.arg_names}
    aligned = {
        (i,): [["tt.divisibility", 16]]
        for i, (argument, kind) in enumerate(signature.items())
        if kind.startswith("*") or argument in ALIGNED
    }
    source = ASTSource(case.function, signature, constexprs=case.constants, attrs=aligned)
    return triton.compile(source, target=TARGETS[target], options={"num_warps": case.warps})


def _nvidia(built: Any) -> dict[str, int]:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(built.asm["cubin"])
        file.flush()
        usage = _run("cuobjdump", "-res-usage", file.name)
        code = _run("nvdisasm", "-c", file.name)
    lines = re.findall(r"^\s*(\.L_\w+):|/\*[0-9a-f]{4,}\*/\s+(.*?);", code, re.MULTILINE)
    count = lambda pattern: len(re.findall(pattern, code))  # noqa: E731
    return {
        "registers": int(re.search(r"REG:(\d+)", usage)[1]),
        "spills": count(r"\b(STL|LDL)\b"),
        "matrix": count(r"\b(HMMA|HGMMA|QGMMA|UTC\w*MMA)\b"),
        "special": count(r"\bMUFU\b"),
        "float64": count(r"\b(DFMA|DMUL|DADD|DMMA)\b"),
        "atomics": count(r"\b(RED|ATOM|ATOMG|REDG)\b"),
        "instructions": sum(bool(text) and not text.startswith("NOP") for _, text in lines),
        "loop": _longest_loop(lines, r"\bBRA\b.*\(?(\.L_\w+)"),
    }


def _amd(built: Any) -> dict[str, int]:
    code = built.asm["amdgcn"]
    field = lambda name: int(re.search(rf"\.{name}:\s+(\d+)", code)[1])  # noqa: E731
    body = code[: code.index("s_endpgm")]
    lines = re.findall(r"^(\.LBB\w+):|^\s+([a-z]\w+\s?.*)$", body, re.MULTILINE)
    return {
        "registers": field("vgpr_count"),
        "spills": field("vgpr_spill_count") + field("sgpr_spill_count"),
        "matrix": len(re.findall(r"\bv_mfma_", code)),
        "special": len(re.findall(r"\bv_(exp|rcp|log|rsq|sqrt)_f32", code)),
        "float64": len(re.findall(r"\bv_(fma|mul|add)_f64", code)),
        "atomics": len(re.findall(r"\bglobal_atomic_", code)),
        "instructions": sum(bool(text) for _, text in lines),
        "loop": _longest_loop(lines, r"\bs_c?branch\w*\s+(\.LBB\w+)"),
    }


def _longest_loop(lines: list[tuple[str, str]], branch: str) -> int:
    """Instructions of the longest loop that contains no other: from a label to the branch back to it."""
    labels: dict[str, int] = {}
    loops: list[tuple[int, int]] = []
    instructions = 0
    for label, text in lines:
        if label:
            labels[label] = instructions
            continue
        instructions += 1
        target = re.search(branch, text)
        # a program's last branch, to itself, is no loop
        if target and target[1] in labels and instructions - labels[target[1]] > 1:
            loops.append((labels[target[1]], instructions))
    innermost = [(a, b) for a, b in loops if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in loops)]
    return max((b - a for a, b in innermost), default=0)


def _run(tool: str, *arguments: str) -> str:
    return subprocess.run([_TOOLS / tool, *arguments], capture_output=True, text=True, check=True).stdout


def main() -> None:
    columns = ("registers", "spills", "shared", "matrix", "special", "float64", "atomics")
    print(f"triton {triton.__version__}; K = 256, float32, circular, logistic, weighted, unless said; counts, not times")
    print(f"{'target':8}{'kernel':28}{'warps':>6}" + "".join(f"{column:>10}" for column in columns) + f"{'instructions':>18}")
    for target in TARGETS:
        totals: dict[str, float] = {}
        for case in cases():
            built = compile_case(case, target)
            figures = "".join(f"{getattr(built, column):>10}" for column in columns)
            print(f"{target:8}{case.name:28}{case.warps:>6}{figures}{built.per_unit:>9.1f}/{case.unit:8}", flush=True)
            if target in DEVICES and case.work:
                totals[case.name] = built.microseconds(case.work)
        if totals:
            _print_estimates(target, totals)


def _print_estimates(target: str, totals: dict[str, float]) -> None:
    name, multiprocessors, clock = DEVICES[target]
    print(f"\n{name}, {multiprocessors} multiprocessors at {clock} GHz: microseconds to issue the instructions of a batch")
    print("of 32 images of 256 x 256 samples, K = 256 (an estimate; nothing but instruction issue is in it)")
    for kernel, time in totals.items():
        print(f"    {kernel:28}{time:8.1f}")
    print(f"    {'in all':28}{sum(totals.values()):8.1f}\n")


if __name__ == "__main__":
    main()
