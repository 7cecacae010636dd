"""Other libraries' functions, with the settings nearest to ours. Each builder imports its library, so that none is needed.

What differs from ours stands in the provider's note (providers.py). kornia and MONAI sample a Gaussian at bin centres; its width is
that of our window, which is a logistic density of scale W summed over a bin: variance pi^2 W^2 / 3 + 1/12 bins^2.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor

from . import naive
from .cases import Case

Run = Callable[[SimpleNamespace], Tensor]


def deviation(bandwidth: float) -> float:
    """Standard deviation, in bins, of the logistic window of a bandwidth in bins."""
    return math.sqrt(math.pi**2 * bandwidth**2 / 3 + 1 / 12)


def compiled(run: Run) -> Run:
    """`torch.compile` of a run, for the one shape it is called with."""
    return torch.compile(run, dynamic=False, fullgraph=True)


def kornia_histogram(case: Case) -> Run:
    from kornia.enhance.histogram import histogram

    return lambda given: histogram(given.x, *_kornia_bins(case, given.x))


def kornia_joint_histogram(case: Case) -> Run:
    from kornia.enhance.histogram import histogram2d

    return lambda given: histogram2d(given.x, given.y, *_kornia_bins(case, given.x))


def kornia_information(case: Case) -> Run:
    joint = kornia_joint_histogram(case)
    return lambda given: naive.relative_information(joint(given))


def _kornia_bins(case: Case, like: Tensor) -> tuple[Tensor, Tensor]:
    # half precision cannot hold 256 centres
    centers = _centers(case, like.new_empty(0, dtype=torch.promote_types(like.dtype, torch.float32)))
    return centers, centers.new_tensor(deviation(case.bandwidth) / case.bins)


def kornia_information_loss(case: Case) -> Run:
    from kornia.losses import mutual_information_loss

    # the radius of its quadratic spline at which that has our window's variance: 31/240 radius^2
    radius = deviation(case.bandwidth) / math.sqrt(31 / 240)
    return lambda given: mutual_information_loss(given.x, given.y, num_bins=case.bins, window_radius=radius)


def monai_information(case: Case) -> Run:
    from monai.losses import GlobalMutualInformationLoss

    loss = GlobalMutualInformationLoss(num_bins=case.bins, sigma_ratio=deviation(case.bandwidth), reduction="none")
    return lambda given: loss.to(given.x.device)(given.x.unsqueeze(1), given.y.unsqueeze(1))


def keops_histogram(case: Case) -> Run:
    from pykeops.torch import LazyTensor

    def run(given: SimpleNamespace) -> Tensor:
        edges = torch.arange(case.bins, dtype=given.x.dtype, device=given.x.device)
        t = LazyTensor((given.x * case.bins)[:, None, :, None].contiguous())
        response = _keops_response(t - LazyTensor(edges[None, :, None, None].contiguous()), case.bandwidth)
        return response.sum(2).squeeze(-1) / given.x.shape[-1]

    return run


def keops_joint_histogram(case: Case) -> Run:
    from pykeops.torch import LazyTensor

    def run(given: SimpleNamespace) -> Tensor:
        edges = torch.cartesian_prod(*2 * [torch.arange(case.bins, dtype=given.x.dtype, device=given.x.device)])
        responses = []
        for samples, edge in zip((given.x, given.y), edges.unbind(1)):
            t = LazyTensor((samples * case.bins)[:, None, :, None].contiguous())
            responses.append(_keops_response(t - LazyTensor(edge[None, :, None, None].contiguous()), case.bandwidth))
        return (responses[0] * responses[1]).sum(2).view(-1, case.bins, case.bins) / given.x.shape[-1]

    return run


def _keops_response(distance, bandwidth: float):
    """Eq. 6 of distances from bins' lower edges; clamped where its derivative would be infinity over infinity."""
    sigmoid = lambda u: 1 / (1 + (-u.clamp(-40, 40)).exp())  # noqa: E731
    return sigmoid(distance / bandwidth) - sigmoid((distance - 1) / bandwidth)


def keops_harmonic_energy(sigma: float) -> Run:
    from pykeops.torch import LazyTensor

    def run(given: SimpleNamespace) -> Tensor:
        near, apart = (_keops_distances(LazyTensor, points) for points in (given.features, given.outputs))
        rows = ((-near / sigma**2).exp() * apart).sum(2)
        return rows.view(len(given.outputs), -1).sum(1) / given.outputs.shape[1] ** 2

    return run


def _keops_distances(lazy: Callable, points: Tensor):
    """|x_i - x_j|_1 of points (B, N, D)."""
    return (lazy(points[:, :, None].contiguous()) - lazy(points[:, None].contiguous())).abs().sum(-1)


def pot_samples(case: Case) -> Run:
    import ot

    return lambda given: ot.wasserstein_circle(given.x.T, given.other.T, p=1)


def pot_histograms(case: Case) -> Run:
    import ot

    def run(given: SimpleNamespace) -> Tensor:
        places = _centers(case, given.p).unsqueeze(1).expand(-1, len(given.p))
        return ot.wasserstein_circle(places, places, given.p.T, given.q.T, p=1)

    return run


def pot_linear_samples(case: Case) -> Run:
    import ot

    return lambda given: ot.linear_circular_ot(given.x.T, given.other.T)


def _centers(case: Case, like: Tensor) -> Tensor:
    return (torch.arange(case.bins, dtype=like.dtype, device=like.device) + 0.5) / case.bins


def histc(case: Case) -> Run:
    return lambda given: torch.stack([torch.histc(row, case.bins, 0, 1) for row in given.x.detach()]) / given.x.shape[-1]


def numpy_joint_histogram(case: Case) -> Run:
    import numpy as np

    def run(given: SimpleNamespace) -> Tensor:
        # numpy has no bfloat16
        wide = (samples.detach().to(torch.promote_types(samples.dtype, torch.float32)) for samples in (given.x, given.y))
        rows = zip(*(samples.cpu().numpy() for samples in wide))
        counts = [np.histogram2d(x, y, case.bins, ((0, 1), (0, 1)))[0] for x, y in rows]
        return torch.from_numpy(np.stack(counts)) / given.x.shape[-1]

    return run
