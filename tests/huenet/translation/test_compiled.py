"""As for Hue-Net: a compiled step of a translation is the same step, the host waits in neither, and photos may be in a file."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from huenet.cli import main
from huenet.training.distributed import ALONE
from huenet.translation.system import Translation
from tests.huenet.training.runs import assert_equal, timeless, weights
from tests.huenet.training.waiting import NoCalls, NoOperations
from tests.huenet.translation.commands import train
from tests.huenet.translation.tiny import ALL_TERMS, run, system, tiny

SETTINGS = {
    "all terms": tiny(**ALL_TERMS, dropout=0.2, steps=20),
    "one direction, batch norm": tiny(
        directions="a-to-b", norm="batch", structure_weight=5.0, geometry_weight=1.0, geometry="flip"
    ),
    "no discriminator": tiny(adversarial_weight=0.0, cycle_weight=1.0, generator="unet", depth=2, ema=0.0),
    "cross entropy, no pool": tiny(adversarial_form="cross-entropy", pool_size=0),
}
CYCLE = shlex.split("--method cyclegan --identity-weight 0")


def made(name: str, compiler: str | None = None) -> Translation:
    torch.compiler.reset()
    return system(SETTINGS[name], world=dataclasses.replace(ALONE, compiler=compiler))


def losses(trained: Translation, steps: int) -> Tensor:
    return torch.stack([torch.stack(list(trained.step(step).values())) for step in range(steps)])


@pytest.mark.parametrize("name", SETTINGS)
def test_as_one_graph_each_the_losses_are_the_same_bit_for_bit(name: str) -> None:
    eager, compiled = made(name), made(name, "aot_eager")
    assert torch.equal(losses(compiled, 6), losses(eager, 6))
    assert_equal(compiled.state(), eager.state())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 3 and not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.parametrize("name", SETTINGS)
def test_the_host_never_waits_in_a_step(name: str) -> None:
    trained = made(name)
    trained.step(0)  # optimisers and averages begin
    with NoCalls(), NoOperations():
        trained.step(1)


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_by_the_command_compiled_losses_are_the_same_but_for_rounding(ground: Path, tmp_path: Path) -> None:
    torch.compiler.reset()
    options = [*CYCLE, "--directions", "a-to-b", "--cycle-weight", "0", "--blocks", "0", "--steps", "8"]
    assert main(train(ground, str(tmp_path / "compiled"), *options, "--compile")) == 0
    assert main(train(ground, str(tmp_path / "eager"), *options)) == 0
    for found, expected in zip(timeless(tmp_path / "compiled"), timeless(tmp_path / "eager"), strict=True):
        for name, value in expected.items():
            assert abs(float(found[name]) - float(value)) <= 1e-4 * max(1.0, abs(float(value)))


def test_a_run_may_be_resumed_with_and_without(tmp_path: Path) -> None:
    for steps, compiler in ((2, "aot_eager"), (3, None), (4, "aot_eager")):
        torch.compiler.reset()
        config = tiny(**ALL_TERMS, steps=steps)
        run(config, tmp_path / "parts", system(config, world=dataclasses.replace(ALONE, compiler=compiler)))
    run(config, tmp_path / "whole")
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")


def test_from_the_cache_it_is_the_run_from_memory_resumed_either_way(ground: Path, tmp_path: Path) -> None:
    """Colour photos and grey ones, of one file."""
    from_cache = ["--cache", str(tmp_path / "cache")]
    assert main(train(ground, str(tmp_path / "whole"), *CYCLE, "--steps", "4")) == 0
    for steps, options in (("2", from_cache), ("3", []), ("4", from_cache)):
        assert main(train(ground, str(tmp_path / "parts"), *CYCLE, "--steps", steps, *options)) == 0
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")
    assert len((tmp_path / "cache" / "squares-18.jsonl").read_text().splitlines()) == 10


def test_a_cache_among_the_photos_is_one_line(ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(train(ground, str(tmp_path / "out"), *CYCLE, "--steps", "1", "--cache", str(ground / "b"))) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert f"{ground / 'b'} is among the photos of {ground / 'b'}" in line and line.endswith("choose another --cache")
