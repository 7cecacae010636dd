"""`make dist`: the wheel and the source distribution in dist/, looked into, installed alone and tried.

The wheel is built from the source distribution, and that from what git knows. It is tried twice, with what `pip install huenet`
brings along and with the extra `train`, each in an environment that has nothing else; a user's program is read there by mypy.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

from tests.dist.contents import check, package, tracked
from tests.dist.environments import environment
from tests.huenet.cli.options import OPTIONS
from tests.paths import REPOSITORY

OPERATORS = """
import sys, torch, huenet.kernels, huenet.losses
assert huenet.kernels.__file__.startswith(sys.prefix), huenet.kernels.__file__
x = torch.rand(2, 100, requires_grad=True)
bins = huenet.kernels.Bins(8, boundary="circular")
histogram = huenet.kernels.soft_histogram(x, bins)
torch.testing.assert_close(histogram.sum(-1), torch.ones(2))
huenet.kernels.mutual_information(x, torch.rand(2, 100), bins).information.sum().backward()
assert x.grad.isfinite().all() and x.grad.any()
assert not {"PIL", "matplotlib", "skimage", "tensorboard", "tyro"} & sys.modules.keys()
"""
PHOTOS = """
from PIL import Image
from huenet.data.garden import garden
for number, image in enumerate(garden(8, 40, seed=0).images):
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(f"photos/{number}.png")
"""


def main() -> None:
    out = REPOSITORY / "dist"
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        wheel, sources = built(scratch / "sources", out)
        run(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sources))
        check(wheel, sources)
        tried(wheel, scratch)


def built(copy: Path, out: Path) -> tuple[Path, Path]:
    """The wheel and the source distribution of what git knows of the repository, as it is now."""
    for file in tracked():
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / file, copy / file, follow_symlinks=False)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy), quiet=True)
    (wheel,), (sources,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sources


def tried(wheel: Path, scratch: Path) -> None:
    """Operators, a training of ten steps, painting with what it made; and what is told where the extra is missing."""
    with ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        requires = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist", [])
    place = scratch / "place"
    (place / "photos").mkdir(parents=True)
    alone, training = (environment(scratch / (extra or "alone"), wheel, requires, extra) for extra in ("", "train"))
    run(alone, "-c", OPERATORS, cwd=place)
    print("ok: operators, with the wheel's own requirements alone")
    shutil.copy(REPOSITORY / "tests" / "typing" / "user.py", place)
    run(sys.executable, "-m", "mypy", "--strict", "--python-executable", alone, "--config-file=", "user.py", cwd=place)
    print("ok: a user's program, read by mypy --strict")
    run(alone, "-c", PHOTOS, cwd=place)
    train = ["train", "--data", "photos", "--out", "run", "--steps", "10", "--hold-out", "2", *OPTIONS]
    told = subprocess.run([alone.with_name("huenet"), *train], cwd=place, capture_output=True, text=True)
    if told.returncode != 2 or told.stderr.count("\n") != 1 or "pip install 'huenet[train]'" not in told.stderr:
        raise SystemExit(f"without the extra, huenet train should end in one line that says what to install, got {told}")
    print(f"ok: without the extra: {told.stderr.strip()}")
    run(training.with_name("huenet"), *train, cwd=place, quiet=True)
    print("ok: ten steps of training, with the extra train")
    models = {"with what it made": ["--checkpoint", "run/generator.safetensors"]}
    if any(name.endswith(".safetensors") for name in package()):
        models["with the model in the package"] = []
    for which, model in models.items():
        run(alone.with_name("huenet"), "transfer", "photos/0.png", "photos/1.png", *model, "--out", "painted.png", cwd=place, quiet=True)
        (place / "painted.png").unlink()  # which is there
        print(f"ok: painting {which}, without the extra")


def run(*command: str | Path, cwd: Path = REPOSITORY, quiet: bool = False) -> None:
    """Run a command, whose output is shown where it fails; with `quiet`, only there."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, text=True, capture_output=quiet)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))[:200]} failed\n{done.stdout or ''}{done.stderr or ''}")


if __name__ == "__main__":
    main()
