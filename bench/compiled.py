"""What the Triton kernels compile to, for GPUs that need not be there.

`python -m bench compile` prints, for every kernel, several NVIDIA generations and AMD's gfx942: registers, spills, shared memory,
matrix, special-function, float64 and atomic instructions, and how many instructions a sample (or histogram cell) costs; then, for
the benchmark's case, how long an NVIDIA GPU would take (estimate.py). These are counts of compiled code and estimates from them,
not measurements.

Nothing is restated here: the operators' launchers are called with inputs that have no values (see
huenet/kernels/common/jit/launch.py), in the cases that their folders declare, and what they would launch is compiled.
"""

import dataclasses
import functools
import multiprocessing
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from huenet.kernels.common.cases import Cases, declared
from huenet.kernels.common.jit.launch import Launch, recorded

from . import readme, tables
from .estimate import DEVICES, LAUNCH, Counts, Estimate, estimate
from .machine import REPOSITORY

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "sm_100": GPUTarget("cuda", 100, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
#: bytes of shared memory a program may have; more than this asks for larger limits on some of the targets
SHARED_LIMIT = 48 * 1024
_TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
_POINTERS = {torch.float32: "*fp32", torch.float64: "*fp64", torch.int32: "*i32", torch.int16: "*i16"}


@dataclass(frozen=True)
class Kernel:
    """One kernel as an operator launches it in one of its cases."""

    operator: str
    variant: str
    launch: Launch

    @property
    def name(self) -> str:
        own = self.launch.kernel.__name__.strip("_").removesuffix("_kernel").replace("_", " ")
        side = {name: self.launch.constants[name] for name in ("OF_X", "ALONG_X") if name in self.launch.constants}
        own += "".join(" of x" if x else " of y" for x in side.values())
        return ", ".join(part for part in (f"{self.operator}: {own}", self.variant) if part)

    @property
    def exact(self) -> bool:
        """Whether it computes in float64."""
        return self.launch.constants.get("ACC") == tl.float64

    @property
    def matrix(self) -> bool:
        """Whether it has matrix products that matrix units do."""
        constants = self.launch.constants
        return "PRECISION" in constants and constants.get("METRIC", "product") == "product" and not self.exact

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for launches that compile to the same."""
        return self.launch.kernel, tuple(self.signature.items()), repr(self.launch.constants), self.launch.warps

    @property
    def signature(self) -> dict[str, Any]:
        """The type of each of the kernel's arguments, as general as they are when it is launched with other sizes."""
        given = {**dict(zip(self.launch.kernel.arg_names, self.launch.arguments)), **self.launch.numbers}
        return {name: _type(given[name]) if name in given else "constexpr" for name in self.launch.kernel.arg_names}


def _type(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _POINTERS[value.dtype]
    if isinstance(value, tuple):
        return type(value)(*("fp32" if isinstance(number, float) else "i64" for number in value))
    return "constexpr" if value is None else "i32"


def kernels(cases: Cases, label: str, nvidia: bool = True, dtype: torch.dtype = torch.float32) -> list[Kernel]:
    """What an operator launches forward and backward in a case of its `compiled`."""
    settings = cases.compiled[label]
    with recorded(nvidia) as launches:
        cases.run(cases.on_meta(settings, dtype), None, settings)
    return [Kernel(cases.name, label, launch) for launch in launches]


def launched(nvidia: bool = True) -> list[Kernel]:
    """The kernels of all operators in all their cases."""
    every = (module.CASES for module in declared().values())
    return [kernel for cases in every for label in cases.compiled for kernel in kernels(cases, label, nvidia)]


def distinct(found: Iterable[Kernel]) -> list[Kernel]:
    """Kernels that compile to different code, each where it is first met."""
    return list({kernel.key: kernel for kernel in reversed(list(found))}.values())[::-1]


@dataclass(frozen=True)
class Compiled:
    """What came out for one target."""

    registers: int
    spills: int
    shared: int
    matrix: int
    special: int
    float64: int
    atomics: int
    instructions: int
    loop: int  # instructions in its longest innermost loop, 0 without one
    special_loop: int

    @property
    def counts(self) -> Counts:
        return Counts(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Counts)})


def per_unit(kernel: Kernel, built: Compiled) -> float:
    """Instructions that all warps of a program issue for one sample or cell: the loop's, or the whole program's without one."""
    return (built.loop or built.instructions) * kernel.launch.warps / kernel.launch.work.turn


def compile_kernel(kernel: Kernel, target: str) -> Compiled:
    """Compile a kernel and read what came out."""
    built = build(kernel, target)
    read = _nvidia if target.startswith("sm") else _amd
    return Compiled(shared=built.metadata.shared, **read(built))


def build(kernel: Kernel, target: str) -> Any:
    """Triton's compiled kernel."""
    signature, launch = kernel.signature, kernel.launch
    absent = {name: None for name, value in zip(launch.kernel.arg_names, launch.arguments) if value is None}
    anywhere = launch.kernel.do_not_specialize_on_alignment
    pointers = [i for i, (name, kind) in enumerate(signature.items()) if str(kind).startswith("*") and name not in anywhere]
    aligned = {(i,): [["tt.divisibility", 16]] for i in pointers}
    source = ASTSource(launch.kernel, signature, constexprs={**absent, **launch.frozen}, attrs=aligned)
    return triton.compile(source, target=TARGETS[target], options={"num_warps": launch.warps})


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
        **_loop(lines, r"\bBRA\b.*\(?(\.L_\w+)", r"\bMUFU\b"),
    }


def _amd(built: Any) -> dict[str, int]:
    code = built.asm["amdgcn"]
    field = lambda name: int(re.search(rf"\.{name}:\s+(\d+)", code)[1])  # noqa: E731
    body = code[: code.index("s_endpgm")]
    lines = re.findall(r"^(\.LBB\w+):|^\s+([a-z]\w+\s?.*)$", body, re.MULTILINE)
    special = r"\bv_(?:exp|rcp|log|rsq|sqrt)_f32"
    return {
        "registers": field("vgpr_count"),
        "spills": field("vgpr_spill_count") + field("sgpr_spill_count"),
        "matrix": len(re.findall(r"\bv_mfma_", code)),
        "special": len(re.findall(special, code)),
        "float64": len(re.findall(r"\bv_(fma|mul|add)_f64", code)),
        "atomics": len(re.findall(r"\bglobal_atomic_", code)),
        "instructions": sum(bool(text) for _, text in lines),
        **_loop(lines, r"\bs_c?branch\w*\s+(\.LBB\w+)", special),
    }


def _loop(lines: list[tuple[str, str]], branch: str, special: str) -> dict[str, int]:
    """Instructions of the longest loop that contains no other, and special functions among them."""
    first, last = _longest_loop(lines, branch)
    inside = [text for label, text in lines if not label][first:last]
    return {"loop": len(inside), "special_loop": sum(bool(re.search(special, text)) for text in inside)}


def _longest_loop(lines: list[tuple[str, str]], branch: str) -> tuple[int, int]:
    """The longest loop that contains no other, from a label to the branch back to it, as first instruction and the one after the
    last."""
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
    return max(innermost, key=lambda loop: loop[1] - loop[0], default=(0, 0))


def _run(tool: str, *arguments: str) -> str:
    return subprocess.run([_TOOLS / tool, *arguments], capture_output=True, text=True, check=True).stdout


#: the target of the table in kernels/README.md, and its markers
SHOWN = "sm_90"
BEGIN, END = "<!-- kernels: generated by `python -m bench compile --page`; do not edit -->", "<!-- end of kernels -->"
#: columns of the report
_COLUMNS = ("registers", "spills", "shared", "matrix", "special", "float64", "atomics")


def main(targets: Sequence[str] = tuple(TARGETS), page: bool = False) -> int:
    """Print the report, and with `page` write the table of kernels/README.md; 1 if a kernel spills registers or needs atomics, else
    0."""
    print(f"triton {triton.__version__}; float32, K = 256, circular, logistic, unless said; counts, not times")
    print(f"{'target':8}{'kernel':56}{'warps':>6}" + "".join(f"{column:>10}" for column in _COLUMNS) + f"{'instructions':>18}")
    bad = 0
    with multiprocessing.get_context("spawn").Pool() as pool:
        for target in targets:
            found = distinct(_launched(target))
            costs: dict[object, Compiled] = {}
            for kernel, built in zip(found, pool.imap(_compile_nth, [(target, index) for index in range(len(found))])):
                costs[kernel.key] = built
                bad += bool(built.spills or built.atomics)
                figures = "".join(f"{getattr(built, column):>10}" for column in _COLUMNS)
                cost = f"{per_unit(kernel, built):>9.1f}/{kernel.launch.work.unit:8}"
                print(f"{target:8}{kernel.name:56}{kernel.launch.warps:>6}{figures}{cost}", flush=True)
            if target in DEVICES:
                _print_estimates(target, costs)
            if page and target == SHOWN:
                write_page(costs)
    if bad:
        print(f"{bad} kernels spill registers or have atomics", file=sys.stderr)
    return int(bad > 0)


def _compile_nth(job: tuple[str, int]) -> Compiled:
    """In a process of its own, to which kernels cannot be sent."""
    target, index = job
    return compile_kernel(distinct(_launched(target))[index], target)


@functools.cache
def _launched(target: str) -> tuple[Kernel, ...]:
    return tuple(launched(nvidia=target.startswith("sm")))


def benchmarked(target: str, operator: Cases) -> list[Kernel]:
    """All that an operator launches in its first case, forward and backward."""
    variant = next(iter(operator.compiled), None)
    return [kernel for kernel in _launched(target) if (kernel.operator, kernel.variant) == (operator.name, variant)]


def _estimates(target: str, costs: dict[object, Compiled]) -> Iterator[tuple[Cases, list[tuple[Kernel, Estimate]]]]:
    """What the kernels of every operator's first case would take."""
    for module in declared().values():
        own = benchmarked(target, module.CASES)
        found = [(kernel, estimate(kernel.launch, costs[kernel.key].counts, DEVICES[target])) for kernel in own]
        if found:
            yield module.CASES, found


def _shapes(operator: Cases) -> str:
    return ", ".join(str(given.shape(operator.size, operator.rows)) for given in operator.inputs)


def _print_estimates(target: str, costs: dict[object, Compiled]) -> None:
    print(f"\n{DEVICES[target].name}: microseconds of both passes, estimated (bench/estimate.py), {LAUNCH * 1e6:g} a launch")
    print(f"    {'':56}" + "".join(f"{column:>8}" for column in ("issue", "special", "bytes", "waves", "in all")))
    for operator, found in _estimates(target, costs):
        for kernel, each in found:
            figures = (each.issue * 1e6, each.special * 1e6, each.bytes * 1e6, each.waves, each.seconds * 1e6)
            print(f"    {kernel.name:56}" + "".join(f"{figure:8.1f}" for figure in figures))
        print(f"    {'in all, of inputs ' + _shapes(operator):56}{sum(each.seconds for _, each in found) * 1e6:40.1f}\n")


def write_page(costs: dict[object, Compiled], page: Path = REPOSITORY / "kernels" / "README.md") -> None:
    """The table of kernels/README.md anew."""
    header = ["operator, inputs", "kernel", "warps", "registers", "instructions", "microseconds", "bound by"]
    rows = []
    for operator, found in _estimates(SHOWN, costs):
        for kernel, each in found:
            built = costs[kernel.key]
            cost = f"{per_unit(kernel, built):.1f} / {kernel.launch.work.unit}"
            name = kernel.name.split(": ", 1)[1]
            rows.append(["", name, str(kernel.launch.warps), str(built.registers), cost, f"{each.seconds * 1e6:.1f}", each.bound])
        total = sum(each.seconds for _, each in found) * 1e6
        rows.insert(len(rows) - len(found), [f"**{operator.name}**, {_shapes(operator)}", "", "", "", "", f"**{total:.0f}**", ""])
    table = tables.markdown(header, rows)
    about = f"Triton {triton.__version__}, {SHOWN}, float32; microseconds of an {DEVICES[SHOWN].name}, **estimated**:"
    page.write_text(readme.replaced(page.read_text(), f"{BEGIN}\n\n{about}\n\n{table}\n\n{END}", BEGIN, END), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
