"""`python -m bench`: how much time and memory do the operators save, against what people use today, on this machine?

python -m bench run                          time a suite, check it, write JSON, summary and plots
python -m bench plot bench/results/cpu       draw the plots of a run again
python -m bench compare BEFORE AFTER         two runs; exits with 1 where huenet regressed
python -m bench compare --base main          this working tree against a revision, on this machine
python -m bench profile                      the training step, with fused and with naive losses
python -m bench cpu                          the training step on a CPU: channels last, bfloat16, threads, compiled
python -m bench compile                      what the Triton kernels compile to
python -m bench host                         what the host does for a call, apart from launches
python -m bench photos                       a large set of photos, from a mapped file and from memory
python -m bench predict                      time and memory of the training step on an H100, from counts
python -m bench readme [--check]             README's section on speed, from the committed results
python -m bench hard-pairs --before FILE     pairs that ask too much of a model, painted by another one and by the packaged one
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch

from . import machine, readme, results, training_table
from .compare import against, compare, report
from .profile import attempt, profile
from .results import load
from .run import EFFORTS, run, say
from .training_table import TITLES

Option: TypeAlias = Callable[..., argparse.Action]
#: kinds of losses of the training step
LOSSES = list(TITLES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 if all is well, 1 for a regression or a stale README, 2 for a mistake, told in one line."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"bench: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[..., int], help: str, form=argparse.ArgumentDefaultsHelpFormatter) -> Option:
        """A command; returns what adds an option to it."""
        own = commands.add_parser(name, help=help, formatter_class=form)
        own.set_defaults(command=command)
        return own.add_argument

    option = add("run", _run, "time a suite")
    _add_suite(option)
    option("--out", type=Path, help="folder for results.json, summary.md and plots (bench/results/SUITE)")
    option("--no-plots", action="store_true", help="draw nothing")
    option("--no-training", action="store_true", help="leave the training step out")

    option = add("plot", _plot, "draw the plots of runs again")
    option("runs", type=Path, nargs="+", metavar="FILE", help="results.json of a run, or its folder")

    option = add("compare", _compare, "compare two runs, or two commits")
    option("runs", type=Path, nargs="*", metavar="FILE", help="two runs: before and after")
    option("--base", metavar="REV", help="measure this revision and the working tree instead")
    option("--threshold", type=float, default=0.1, help="growth of time or memory that is a regression")
    _add_suite(option, default="quick")

    option = add("profile", _profile, "profile the training step")
    _add_step(option)
    option("--steps", type=int, default=5, help="steps timed, of each kind in turn")
    option("--losses", nargs="+", default=["huenet", "naive"], choices=LOSSES, help="kinds")
    option("--out", type=Path, help="also write the figures to this JSON file")
    _add_machine(option)

    option = add("cpu", _cpu, "ways of computing the training step on a CPU")
    _add_step(option)
    option("--steps", type=int, default=15, help="steps timed, of each way in turn")
    option("--no-compile", action="store_true", help="leave out the ways that are compiled, which takes minutes")
    option("--threads", type=int, help="by default all that torch would take")

    option = add("compile", _compile, "registers, spills and instructions of the Triton kernels")
    option("--target", nargs="+", help="such as sm_90; by default all that are known")
    option("--page", action="store_true", help="write the table of kernels/README.md")
    option = add("host", _host, "host time of a call of every operator, apart from the launches")
    option("--seconds", type=float, default=1.0, help="time spent on each operator, twice")
    option = add("photos", _photos, "a large set of photos from a mapped file, and from memory")
    option("--count", type=int, default=100_000, help="photos, written to files and decoded")
    option("--size", type=int, default=64, help="side of the training images")
    option("--batch", type=int, default=16, help="pairs in a batch")
    option("--batches", type=int, default=1000, help="batches drawn, then as many timed")
    option = add("predict", _predict, "a training step on an H100, predicted from counts")
    option("--batch", type=int, default=32, help="pairs in a step")
    option("--presets", nargs="+", default=["default", "paper"], choices=("default", "paper", "small", "general"), help="rows")
    option = add("readme", _readme, "write README's section on speed", argparse.HelpFormatter)
    option("--check", action="store_true", help="write nothing; exit with 1 if it is out of date")
    option = add("hard-pairs", _hard_pairs, "paint pairs that ask too much")
    option("--before", type=Path, required=True, help="generator.safetensors to compare with, such as runs/demo's")
    option("--out", type=Path, default=Path("docs/hard_pairs.png"), help="figure")
    return parser


def _add_suite(option: Option, default: str | None = None) -> None:
    option("--suite", choices=tuple(EFFORTS), default=default, help="cases; by default, the device's")
    option("--only", metavar="NAME", help="only operators with this in their name")
    _add_machine(option)


def _add_step(option: Option) -> None:
    option("--preset", default="small", choices=("small", "default"), help="networks and losses")
    option("--size", type=int, default=128, help="side of the training images")
    option("--batch", type=int, default=8, help="pairs in a step")
    option("--bins", type=int, default=256, help="bins of both losses")


def _add_machine(option: Option) -> None:
    option("--device", choices=("cpu", "cuda"), help="by default cuda where there is one")
    option("--threads", type=int, help="of a CPU; by default all that torch would take")


def _machine(options: argparse.Namespace) -> tuple[str, int]:
    """Device and threads, checked."""
    device = options.device or ("cuda" if torch.cuda.is_available() and getattr(options, "suite", None) != "cpu" else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch sees no GPU here")
    threads = torch.get_num_threads() if options.threads is None else options.threads
    if threads < 1:
        raise ValueError(f"--threads must be at least 1, got {threads}")
    torch.set_num_threads(threads)
    return device, threads


def _run(options: argparse.Namespace) -> int:
    device, threads = _machine(options)
    suite = options.suite or {"cpu": "cpu", "cuda": "gpu"}[device]
    if suite == "gpu" and device != "cuda":
        raise ValueError("--suite gpu needs a GPU, and PyTorch sees none; there are --suite cpu and --suite quick")
    folder = options.out or results.FOLDER / suite
    found = run(suite, device, threads, say, options.only, lambda so_far: results.save(so_far, folder))
    wanted = not options.no_training and not found.get("interrupted")
    if wanted and suite != "quick" and options.only is None:
        size, batch, preset = (128, 8, "small") if device == "cpu" else (256, 32, "default")
        settings = {"device": device, "preset": preset, "size": size, "batch": batch, "bins": 256, "steps": 5}
        found["training"] = attempt(say, **settings, losses=LOSSES, rates=found["rates"])
    results.save(found, folder)
    if not options.no_plots:
        from .plots import draw

        draw(found, folder)
    print((folder / "summary.md").read_text())
    print(f"written to {folder}")
    return 0


def _plot(options: argparse.Namespace) -> int:
    from .plots import draw

    for path in options.runs:
        for file in draw(load(path), path if path.is_dir() else path.parent):
            print(file)
    return 0


def _compare(options: argparse.Namespace) -> int:
    if options.threshold <= 0:
        raise ValueError(f"--threshold must be positive, got {options.threshold}")
    if options.base is not None:
        if options.runs:
            raise ValueError("give two runs or --base, not both")
        device, threads = _machine(options)
        chosen = ["--suite", options.suite, "--device", device, "--threads", str(threads)]
        before, after = against(options.base, chosen + (["--only", options.only] if options.only else []))
    elif len(options.runs) == 2:
        before, after = map(load, options.runs)
    else:
        raise ValueError(f"compare needs two runs, or --base, got {len(options.runs)} runs")
    changes = compare(before, after, options.threshold)
    print(report(before, after, changes, options.threshold))
    return int(any(change.regression for change in changes))


def _profile(options: argparse.Namespace) -> int:
    device, _ = _machine(options)
    settings = {name: getattr(options, name) for name in ("preset", "size", "batch", "bins", "steps", "losses")}
    found = profile(device, **settings, rates=machine.rates(device), say=say)
    print(training_table.table(found), training_table.about(found), sep="\n\n")
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _cpu(options: argparse.Namespace) -> int:
    from . import cpu

    options.device = "cpu"
    _, threads = _machine(options)
    ways = tuple(way for way in cpu.WAYS if not (way.compiled and options.no_compile))
    settings = {name: getattr(options, name) for name in ("preset", "size", "batch", "bins", "steps")}
    found = cpu.measure(ways, threads, **settings, say=say)
    about = f"Preset {options.preset}, {options.size} x {options.size}, batch {options.batch}, K = {options.bins} for both losses"
    print(cpu.table(found), f"{about}; {machine.told(threads)}.", sep="\n\n")
    return 0


def _compile(options: argparse.Namespace) -> int:
    if os.environ.get("TRITON_INTERPRET") == "1":
        raise ValueError("interpreted kernels cannot be compiled: unset TRITON_INTERPRET")
    from .compiled import SHOWN, TARGETS
    from .compiled import main as compiled

    targets = options.target or list(TARGETS)
    if unknown := set(targets) - set(TARGETS):
        raise ValueError(f"--target must be of {', '.join(TARGETS)}, got {', '.join(sorted(unknown))}")
    if options.page and SHOWN not in targets:
        raise ValueError(f"--page needs {SHOWN} among the targets")
    return compiled(targets, options.page)


def _host(options: argparse.Namespace) -> int:
    if os.environ.get("TRITON_INTERPRET") == "1":
        raise ValueError("interpreted kernels are not launched: unset TRITON_INTERPRET")
    from .host import report

    print(report(options.seconds))
    return 0


def _photos(options: argparse.Namespace) -> int:
    from . import photos

    for name, least in (("count", 2), ("size", 16), ("batch", 1), ("batches", 1)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(options, name)}")
    print(photos.report(options.count, options.size, options.batch, options.batches), end="; ")
    print(f"{machine.told(torch.get_num_threads())}.")
    return 0


def _predict(options: argparse.Namespace) -> int:
    from . import predict

    if options.batch < 1:
        raise ValueError(f"--batch must be at least 1, got {options.batch}")
    print(predict.table(options.batch, tuple(options.presets)))
    print(f"\nPredicted for {predict.NAME}, batch {options.batch}; counted with {machine.told(torch.get_num_threads())}.")
    return 0


def _hard_pairs(options: argparse.Namespace) -> int:
    from .hard_pairs import hard_pairs

    print(hard_pairs(options.before, options.out))
    return 0


def _readme(options: argparse.Namespace) -> int:
    current = readme.update(options.check)
    if options.check and not current:
        print("bench: README's section on speed is out of date: run `python -m bench readme`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
