"""NaN and infinity in the kernels: the same as in the reference, and what kernels/common/nonfinite.py says."""

from __future__ import annotations

import pytest

from huenet.kernels.common.cases import declared
from tests.kernels.agreement import check_not_finite

CASES = {name: module.CASES for name, module in declared().items()}
#: between them tiles and dense kernels, circles and ranges, separable windows and not
CHOSEN = {
    "soft_histogram": ["logistic, circular", "gaussian, reflect", "triangular, open", "few, circular"],
    "joint_histogram": ["logistic, circular", "gaussian, reflect", "few, circular"],
    "mutual_information": ["logistic, circular, joint", "few, gaussian, reflect, histogram"],
    "histogram_emd": ["logistic, circular", "triangular, open", "few, gaussian, reflect"],
    "patch_histogram": ["overlapping", "apart", "gaussian"],
    "squared_mutual_information": ["default", "published"],
    "harmonic_energy": ["l1", "l2"],
    "contextual_similarity": ["cosine, target", "l2, source", "l1, target"],
}


@pytest.mark.parametrize("name, label", [(name, label) for name, labels in CHOSEN.items() for label in labels])
def test_values_that_are_not_finite(name, label):
    check_not_finite(CASES[name], CASES[name].settings[label], "triton", 12)
