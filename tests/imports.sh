#!/usr/bin/env bash
# huenet.kernels must import in four ways: from the repository with nothing installed, editable, as a wheel, and beside the
# distribution called `kernels`, whose files must stay untouched. Dependencies come from .venv, which `make` provides.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

dependencies=$("$repository/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

fresh() { # an environment that sees .venv's packages, but not the editable install (whose .pth file is not followed)
    "$repository/.venv/bin/python" -m venv "$scratch/$1"
    site=$("$scratch/$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$dependencies" > "$site/dependencies.pth"
}
try() { # ENVIRONMENT DIRECTORY WHERE: import and use the operators there, and see that they come from WHERE
    (cd "$2" && "$scratch/$1/bin/python" - "$3" <<'PY'
import sys, torch, huenet.kernels
where = huenet.kernels.__file__
assert where.startswith(sys.argv[1]), f"imported from {where}, expected {sys.argv[1]}"
import huenet.kernels.joint_histogram.fused, huenet.losses
histogram = huenet.kernels.soft_histogram(torch.rand(2, 100), huenet.kernels.Bins(8, boundary="circular"))
torch.testing.assert_close(histogram.sum(-1), torch.ones(2))
from huenet.color_transfer.pages.page import render
assert render("questionnaire", "", {}).startswith("<!doctype html>")  # of files that are no modules
PY
    )
}

fresh plain
(cd "$scratch" && ! "$scratch/plain/bin/python" -c 'import huenet' 2> /dev/null) || { echo "huenet is importable uninstalled"; exit 1; }
try plain "$repository" "$repository"
echo "ok: from the repository, uninstalled"

fresh editable
"$scratch/editable/bin/python" -m pip install -q --no-deps --editable "$repository"
try editable "$scratch" "$repository"
echo "ok: editable"

fresh wheel
mkdir "$scratch/source"
git -C "$repository" ls-files -z | tar -C "$repository" --null -T - -c | tar -x -C "$scratch/source"
"$scratch/wheel/bin/python" -m pip wheel -q --no-deps --wheel-dir "$scratch" "$scratch/source"
"$scratch/wheel/bin/python" -m pip install -q --no-deps "$scratch"/huenet-*.whl
try wheel "$scratch" "$scratch/wheel"
echo "ok: wheel"

"$scratch/wheel/bin/python" -m pip install -q kernels
try wheel "$scratch" "$scratch/wheel"
try wheel "$repository" "$repository"
(cd "$scratch" && "$scratch/wheel/bin/python" -c 'import kernels; kernels.get_kernel')
"$scratch/wheel/bin/python" -m pip uninstall -q -y huenet
(cd "$scratch" && "$scratch/wheel/bin/python" -c 'import kernels; kernels.get_kernel')
echo "ok: beside the distribution kernels"
