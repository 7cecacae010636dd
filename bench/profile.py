"""Profile the training step: fused against naive losses, in turn, in the otherwise same run."""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from .worker import one_line

Say: TypeAlias = Callable[[str], None]


def profile(
    device: str, preset: str, size: int, batch: int, bins: int, losses: list[str], steps: int, rates: dict[str, float], say: Say
) -> dict[str, Any]:
    """Profiles by kind of losses; raises RuntimeError where their first losses differ, so that no speed is shown for wrong ones."""
    from .training import Profile, configuration

    config = configuration(preset, size, batch, bins)
    profiles = {}
    for name in losses:
        try:
            profiles[name] = Profile(config, name, device)
        except torch.OutOfMemoryError:
            say(f"training step, {name} losses: out of memory")
            continue
        say(f"training step, {name} losses: first loss {profiles[name].first_loss:.6g}")
    firsts = {name: found.first_loss for name, found in profiles.items()}
    tolerance = 1e-2 if device == "cuda" else 1e-4  # bfloat16 networks do not repeat themselves to the bit
    if any(not math.isclose(one, other, rel_tol=tolerance) for one in firsts.values() for other in firsts.values()):
        raise RuntimeError(f"the first losses differ: {firsts}")
    for found in profiles.values():
        found.once()
        found.shares.records.clear()  # the first step after the count warms up
    for number in range(steps):
        for found in profiles.values():
            found.once()
        say(f"training step {number + 1}/{steps}: " + ", ".join(f"{n} {p.shares.steps()[-1]:.3g} s" for n, p in profiles.items()))
    precision = "bfloat16" if device == "cuda" else "float32"
    results = {name: found.result() for name, found in profiles.items()}
    for found in results.values():
        found["mfu"] = found["flops"] / found["step"]["median"] / rates[precision]
    return {"preset": preset, "size": size, "batch": batch, "bins": bins, "precision": precision, "losses": results}


def attempt(say: Say, **settings: Any) -> dict[str, Any] | None:
    """`profile`, or None with a line that says why there is none: training needs packages that timing operators does not."""
    try:
        return profile(say=say, **settings)
    except (ImportError, RuntimeError) as error:
        say(f"training step: not profiled: {one_line(error)}")
        return None
