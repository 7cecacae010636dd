"""Checkpoint files: complete or absent whatever happens to the writer, and clear about what is wrong with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from huenet.training import checkpoint
from huenet.training.checkpoint import CheckpointError, read, write

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(3, dtype=torch.int64)}


def test_tensors_and_metadata_come_back(tmp_path: Path) -> None:
    path, metadata = tmp_path / "file.safetensors", {"step": 3, "names": ["a", 'b "'], "nothing": None}
    transposed = {**TENSORS, "t": torch.rand(3, 4).T, "last": torch.rand(1, 2, 3, 3).to(memory_format=torch.channels_last)}
    write(path, "training", transposed, metadata)
    tensors, found = read(path, "training")
    assert found == metadata and tensors.keys() == transposed.keys()
    assert all(torch.equal(tensors[name], transposed[name]) for name in tensors)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_writer_that_dies_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.safetensors"
    write(path, "training", TENSORS, {"step": 1})
    write_bytes = Path.write_bytes

    def die_half_way(target: Path, content: bytes) -> None:
        write_bytes(target, content[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", die_half_way)
    with pytest.raises(KeyboardInterrupt):
        write(path, "training", TENSORS, {"step": 2})
    assert read(path, "training")[1] == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    monkeypatch.undo()
    write(path, "training", TENSORS, {"step": 3})
    assert read(path, "training")[1] == {"step": 3}
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_files_may_be_read_by_whom_the_umask_says(tmp_path: Path) -> None:
    path, plain = tmp_path / "file.safetensors", tmp_path / "plain"
    plain.touch()
    write(path, "training", TENSORS, {})
    assert path.stat().st_mode == plain.stat().st_mode


def test_what_cannot_be_written_is_an_oserror_naming_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        write(tmp_path / "missing" / "file.safetensors", "training", TENSORS, {})


@pytest.mark.parametrize("keep", [0, 4, 60, -1])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.safetensors"
    write(path, "training", TENSORS, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"cut.safetensors"):
        read(path, "training")


def test_foreign_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file(TENSORS, path)
    with pytest.raises(CheckpointError, match=r"foreign.safetensors is not a huenet checkpoint"):
        read(path, "generator")
    path.write_text("no tensors here")
    with pytest.raises(CheckpointError, match=r"foreign.safetensors"):
        read(path, "generator")
    write(path, "training", TENSORS, {})
    with pytest.raises(CheckpointError, match=r"foreign.safetensors is a training checkpoint"):
        read(path, "generator")
    with pytest.raises(OSError):
        read(tmp_path / "absent.safetensors", "generator")
    with pytest.raises(OSError):
        read(tmp_path, "generator")


def test_damaged_metadata_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    header = {"format": "huenet", "version": "1", "kind": "generator", "model": "{nonsense"}
    safetensors.torch.save_file(TENSORS, path, header)
    with pytest.raises(CheckpointError, match=r"bad.safetensors has damaged metadata"):
        read(path, "generator")


def test_nothing_is_pickled(tmp_path: Path) -> None:
    write(tmp_path / "file.safetensors", "training", TENSORS, {"step": 1})
    content = (tmp_path / "file.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"]["kind"] == "training" and header["a"]["shape"] == [2, 3]


def test_optimiser_states_flatten_and_back() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    weight.square().sum().backward()
    optimizer.step()
    state = optimizer.state_dict()["state"]
    assert checkpoint.unflatten(checkpoint.flatten(state)).keys() == state.keys()
    assert all(torch.equal(checkpoint.unflatten(checkpoint.flatten(state))[0][key], state[0][key]) for key in state[0])


def test_deep_metadata_is_named(tmp_path: Path) -> None:
    path = tmp_path / "deep.safetensors"
    safetensors.torch.save_file(TENSORS, path, {"format": "huenet", "version": "1", "kind": "generator", "model": "[" * 100_000})
    with pytest.raises(CheckpointError, match=r"deep.safetensors has damaged metadata"):
        read(path, "generator")


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_what_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    write(tmp_path / "bad.safetensors", "training", {**TENSORS, "c": torch.tensor([1.0, value])}, {})
    with pytest.raises(CheckpointError, match=r"bad.safetensors has weights that are not finite, such as c"):
        read(tmp_path / "bad.safetensors", "training")


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(OSError, match=r"a pipe, .*pipe\.safetensors"):
        read(tmp_path / "pipe.safetensors", "generator")


def test_weights_of_another_kind_or_shape_are_named(tmp_path: Path) -> None:
    module = torch.nn.BatchNorm1d(3)
    good = module.state_dict()
    for changed, said in (
        ({"weight": torch.ones(3, dtype=torch.int32)}, "damaged weights: weight is of torch.int32, not torch.float32"),
        ({"num_batches_tracked": torch.tensor(1.5)}, "damaged weights: num_batches_tracked is of torch.float32"),
        ({"bias": torch.ones(4)}, r"another architecture's weights: bias has shape \(4,\), not \(3,\)"),
        ({"more": torch.ones(4)}, "another architecture's weights: it has more"),
    ):
        with pytest.raises(CheckpointError, match=rf"a.safetensors h.* {said}"):
            checkpoint.load_module("a.safetensors", module, {**good, **changed})
    checkpoint.load_module("a.safetensors", module, {**good, "weight": torch.full((3,), 2.0, dtype=torch.float64)})
    assert module.weight.tolist() == [2.0] * 3
