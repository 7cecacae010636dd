"""Metrics gathered over batches and processes, with torchmetrics and without, against plain formulas.

EXACT: sums of some thousand float64 terms, and logarithms of near-empty cells of soft histograms, as in
tests/huenet/test_distributed.py.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from huenet.kernels import Bins, emd, joint_histogram, soft_histogram
from huenet.metrics.counting import hard_joint_histogram
from huenet.metrics.hue import hue_emd, hue_histogram, hue_mutual_information
from tests.huenet import processes

EXACT = 1e-9


@pytest.fixture(params=["standalone", "torchmetrics"])
def metrics(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The metrics, imported where torchmetrics is not installed, or where it is."""
    if request.param == "torchmetrics":
        pytest.importorskip("torchmetrics", reason="torchmetrics is not installed: its part is not tested")
    before = dict(sys.modules)
    for name in [name for name in sys.modules if name.startswith(("huenet.metrics.pairs", "huenet.metrics.standalone"))]:
        del sys.modules[name]
    if request.param == "standalone":
        sys.modules["torchmetrics"] = None
    try:
        yield importlib.import_module("huenet.metrics.pairs")
    finally:
        for name in sys.modules.keys() - before.keys() if request.param == "standalone" else ():
            del sys.modules[name]
        sys.modules.update(before)
        if "torchmetrics" not in before and request.param == "standalone":
            sys.modules.pop("torchmetrics", None)


def of_torchmetrics(metric: object) -> bool:
    return any(cls.__module__.startswith("torchmetrics") for cls in type(metric).__mro__)


def test_the_base_is_as_installed(metrics: ModuleType, request: pytest.FixtureRequest) -> None:
    assert of_torchmetrics(metrics.HueEMD()) == (request.node.callspec.params["metrics"] == "torchmetrics")


def batches(*shape: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Three batches of 2, 3 and 1 pairs that depend on each other, and weights; float64."""
    x, noise, weights = torch.rand(3, 6, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return list(zip(*(z.split([2, 3, 1]) for z in (x, 0.7 * x + 0.3 * noise, weights))))


def entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def nmi(joint: np.ndarray) -> float:
    """(H(x) + H(y)) / H(x, y), written out."""
    return (entropy(joint.sum(1)) + entropy(joint.sum(0))) / entropy(joint)


def joints(soft: bool, weighted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Joint histograms (6, 8, 5) of all pairs, numpy's where they are hard, and their votes."""
    x, y, weights = (torch.cat(parts).flatten(1) for parts in zip(*batches(3, 12, 11)))
    weights = weights if weighted else torch.ones_like(x)
    if soft:
        found = joint_histogram(x, y, 8, 5, weights=weights, backend="reference").numpy()
    else:
        options = {"bins": (8, 5), "range": ((0, 1), (0, 1))}
        counts = [np.histogram2d(*(z.numpy() for z in pair), weights=w.numpy(), **options)[0] for *pair, w in zip(x, y, weights)]
        found = np.stack([count / count.sum() for count in counts])
    return found, weights.sum(1).numpy()


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("soft", [True, False], ids=["soft", "hard"])
@pytest.mark.parametrize("of", ["images", "dataset"])
def test_normalized_mutual_information_is_the_formula(metrics: ModuleType, of: str, soft: bool, weighted: bool) -> None:
    joint, votes = joints(soft, weighted)
    expected = np.mean([nmi(each) for each in joint]) if of == "images" else nmi(np.average(joint, axis=0, weights=votes))
    metric = metrics.NormalizedMutualInformation(8, 5, soft=soft, of=of)
    relative = metrics.RelativeMutualInformation(8, 5, soft=soft, of=of)
    for x, y, weights in batches(3, 12, 11):
        metric.update(x, y, *[weights] * weighted)
        relative.update(x, y, *[weights] * weighted)
    assert metric.compute().item() == pytest.approx(expected, abs=EXACT) and 1.05 < expected < 2
    assert relative.compute().item() == pytest.approx(expected - 1, abs=EXACT)


@pytest.mark.parametrize("soft", [True, False], ids=["soft", "hard"])
@pytest.mark.parametrize("of", ["images", "dataset"])
def test_hues(metrics: ModuleType, of: str, soft: bool) -> None:
    distance = metrics.HueEMD(16, soft=soft, of=of)
    information = metrics.HueMutualInformation(16, soft=soft, of=of)
    pairs = [(x, y) for x, y, _ in batches(3, 12, 11)]
    for pair in pairs:
        distance.update(*pair)
        information.update(*pair)
    x, y = (torch.cat(parts) for parts in zip(*pairs))
    hues = [metrics._hues(rgb) for rgb in (x, y)]
    if soft:
        histograms = [soft_histogram(h, Bins(16, boundary="circular"), weights=w) for h, w, _ in hues]
    else:
        histograms = [hue_histogram(rgb, 16) for rgb in (x, y)]
    if of == "dataset":
        histograms = [(h * votes[:, None]).sum(0) / votes.sum() for h, (_, _, votes) in zip(histograms, hues)]
    expected = emd(*histograms, circular=True).mean().item()
    assert distance.compute().item() == pytest.approx(expected, abs=EXACT) and expected > 1e-3
    if of == "images" and not soft:
        assert distance.compute().item() == pytest.approx(hue_emd(x, y, 16).mean().item(), abs=EXACT)
        assert information.compute().item() == pytest.approx(hue_mutual_information(x, y, 16).mean().item(), abs=EXACT)
    assert 0.01 < information.compute() < 1


@pytest.mark.parametrize("of", ["images", "dataset"])
def test_interface(metrics: ModuleType, of: str) -> None:
    """A call gives the batch's value and adds it; reset forgets; states are saved and loaded; no dtype of a model rounds them."""
    metric, alone = (metrics.NormalizedMutualInformation(8, of=of) for _ in range(2))
    values = [metric(x, y, weights) for x, y, weights in batches(5, 6)]
    for value, batch in zip(values, batches(5, 6)):
        alone.reset()
        alone.update(*batch)
        assert value.item() == pytest.approx(alone.compute().item(), abs=EXACT)
    gathered = metric.compute()
    alone.reset()
    for batch in batches(5, 6):
        alone.update(*batch)
    assert gathered.item() == pytest.approx(alone.compute().item(), abs=EXACT) and gathered.dim() == 0
    loaded = metrics.NormalizedMutualInformation(8, of=of)
    loaded.load_state_dict({name: state.clone() for name, state in metric.state_dict().items()})
    loaded.half().to("cpu")
    before = {name: state.dtype for name, state in loaded.state_dict().items()}
    assert len(before) == 2 and set(before.values()) == {torch.float64}
    loaded.update(*batches(5, 6)[0])
    metric.update(*batches(5, 6)[0])
    assert torch.equal(loaded.compute(), metric.compute())
    metric.reset()
    metric.update(*batches(5, 6)[1])
    assert metric.compute().item() == pytest.approx(values[1].item(), abs=EXACT)


def test_a_batch_that_is_refused_leaves_everything_as_it_was(metrics: ModuleType) -> None:
    metric = metrics.NormalizedMutualInformation(8)
    metric.update(*batches(5, 6)[0])
    states = {name: state.clone() for name, state in metric.state_dict().items()}
    with pytest.raises(ValueError, match=r"x and y must be images \(B, \.\.\.\) of one shape"):
        metric.update(torch.rand(2, 5), torch.rand(2, 6))
    if not of_torchmetrics(metric):  # whose own forward forgets what was there
        with pytest.raises(ValueError):
            metric(torch.rand(2, 5), torch.rand(2, 6))
    assert all(torch.equal(state, states[name]) for name, state in metric.state_dict().items())


@pytest.mark.parametrize("of", ["images", "dataset"])
def test_two_processes_compute_what_one_does(metrics: ModuleType, of: str, tmp_path: Path) -> None:
    """One of them has two batches, the other one; what each has gathered itself stays its own."""

    def made() -> dict:
        options = {"of": of}
        return {
            "nmi": metrics.NormalizedMutualInformation(8, **options),
            "hard": metrics.RelativeMutualInformation(8, soft=False, **options),
            "emd": metrics.HueEMD(16, **options),
        }

    def gather(which: slice) -> dict:
        found = made()
        for x, y, weights in batches(3, 6, 5)[which]:
            for name, metric in found.items():
                metric.update(x, y, *([] if name == "emd" else [weights]))
        return found

    def work(rank: int) -> dict:
        found = gather(slice(rank, 3, 2))
        values = {name: metric.compute() for name, metric in found.items()}
        found["nmi"].update(*batches(3, 6, 5)[0])
        return {**values, "once more": found["nmi"].compute()}

    expected = gather(slice(None))
    results = processes.run(work, 2, tmp_path)
    for name, metric in expected.items():
        for result in results:
            assert result[name].item() == pytest.approx(metric.compute().item(), abs=EXACT), name
    for _ in range(2):
        expected["nmi"].update(*batches(3, 6, 5)[0])
    assert results[0]["once more"].item() == pytest.approx(expected["nmi"].compute().item(), abs=EXACT)


@pytest.mark.parametrize("of", ["images", "dataset"])
def test_what_does_not_count_and_what_shows(metrics: ModuleType, of: str) -> None:
    metric, distance = metrics.NormalizedMutualInformation(8, of=of), metrics.HueEMD(16, of=of)
    x, y, weights = batches(3, 6, 5)[0]
    for given, add in ((metric, (x, y, weights)), (distance, (x, y))):
        given.update(*add)
        value = given.compute()
        if given is metric:
            given.update(x, y.flip(-1), torch.zeros_like(x))
        else:
            given.update(x, torch.full_like(y, 0.5))
        assert torch.equal(given.compute(), value)
        spoilt = x.clone()
        spoilt[0, 1, 2, 3] = torch.nan
        given.update(spoilt, y)
        assert given.compute().isnan()


@pytest.mark.filterwarnings("ignore:The ``compute`` method:UserWarning")  # torchmetrics says so
@pytest.mark.parametrize("of", ["images", "dataset"])
def test_of_nothing_it_is_not_a_number(metrics: ModuleType, of: str) -> None:
    assert metrics.RelativeMutualInformation(8, of=of).compute().isnan()
    assert metrics.HueEMD(8, of=of).compute().isnan()


def test_hard_bins_are_numpys_and_boundaries_as_bins_say() -> None:
    edges = torch.tensor([[0.0, 0.25, 0.5, 1.0, -0.1, 1.1, 0.99]], dtype=torch.float64)
    opened, mirrored, turned = (
        hard_joint_histogram(edges, edges, bins, bins)[0].diagonal() * 7
        for bins in (Bins(4, boundary=boundary) for boundary in ("open", "reflect", "circular"))
    )
    assert opened.tolist() == pytest.approx([1, 1, 1, 2], abs=EXACT)
    assert mirrored.tolist() == pytest.approx([2, 1, 1, 3], abs=EXACT)
    assert turned.tolist() == pytest.approx([3, 1, 1, 2], abs=EXACT)  # 1 is 0, 1.1 is 0.1, -0.1 is 0.9
    counts = np.histogram(edges.numpy(), 4, (0, 1))[0]
    assert opened.tolist() == pytest.approx(counts.tolist(), abs=EXACT)


def test_bad_arguments_are_named(metrics: ModuleType) -> None:
    with pytest.raises(ValueError, match="of must be 'images' or 'dataset', got 'all'"):
        metrics.NormalizedMutualInformation(8, of="all")
    with pytest.raises(TypeError, match="bins must have the same range for all images, an int or Bins, got MeasuredBins"):
        metrics.NormalizedMutualInformation(Bins.of(torch.rand(5), 8))
    with pytest.raises(ValueError, match="weights must broadcast to x's shape"):
        metrics.NormalizedMutualInformation(8).update(torch.rand(2, 5), torch.rand(2, 5), torch.rand(3, 5))
    with pytest.raises(ValueError, match=r"second must have the shape of first, expected \(2, 3, 8, 8\), got \(1, 3, 8, 8\)"):
        metrics.HueMutualInformation(8).update(torch.rand(2, 3, 8, 8), torch.rand(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"second must have as many pictures as first, expected \(2,\), got \(3,\)"):
        metrics.HueEMD(8).update(torch.rand(2, 3, 8, 8), torch.rand(3, 3, 9, 8))
