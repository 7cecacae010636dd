"""Options of a training run that takes a second."""

from __future__ import annotations

import shlex

OPTIONS = shlex.split(
    "--size 32 --width 4 --discriminator-width 4 --bins 16 --batch-size 4 --schedule constant --device cpu --no-progress"
)
