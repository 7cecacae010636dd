# %% [markdown]
# # Backends, mixed precision, compilation, determinism
#
# ## When to use which backend
#
# | `backend` | what it is | when |
# |---|---|---|
# | None | "triton" on a GPU where it serves, else "torch" | always, unless you have a reason |
# | "triton" | fused kernels, or an error that says why not | to be sure that kernels are what runs |
# | "torch" | vectorised PyTorch, any device | on devices without Triton, and to compare |
# | "reference" | the formula in dense PyTorch | second derivatives, `torch.func`, small inputs; slow |

# %%
from collections.abc import Callable

import torch

from huenet.kernels import Bins, mutual_information, soft_histogram

x = torch.rand(2, 4096, generator=torch.manual_seed(0))
fast, dense = (soft_histogram(x, 64, backend=backend) for backend in ("torch", "reference"))
print(f"agree to a millionth: {torch.allclose(fast, dense, atol=1e-6)}")

# %% [markdown]
# ## Mixed precision
#
# Half-precision samples are computed and returned in float32, also under autocast: leave the loss where it is.

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    histogram = soft_histogram(x.bfloat16(), 64)
print(histogram.dtype)

# %% [markdown]
# ## `torch.compile` and CUDA graphs
#
# The operators are registered as custom operators with fakes, so that `torch.compile(fullgraph=True)` takes a loss as it stands;
# with `dynamic=True` pass `Bins`, not an int. Ranges as tensors (`Bins.of`, `Bins.between`) are never read by the host, which is
# what CUDA graphs ask for. What the compiler sees:

# %%
with torch._subclasses.FakeTensorMode():
    print(tuple(soft_histogram(torch.empty(8, 1000), Bins(32)).shape))

# %% [markdown]
# ## Determinism
#
# The same call on the same device gives the same bits on a CPU; [promises](../docs/promises.md) has what holds elsewhere.

# %%
print(torch.equal(soft_histogram(x, 64), soft_histogram(x, 64)))

# %% [markdown]
# ## Troubleshooting
#
# Errors name the argument, what was expected and what came, so that each says what to do. Some, as they are met;
# [troubleshooting](../docs/troubleshooting.md) has every warning and the errors met most, by their words.


# %%
def message(call: Callable[[], object]) -> None:
    """What the call is refused with."""
    try:
        call()
    except (TypeError, ValueError, RuntimeError) as error:
        print(f"{type(error).__name__}: {str(error).splitlines()[0]}")
    else:
        raise AssertionError("expected an error")


message(lambda: soft_histogram(torch.zeros(8, dtype=torch.uint8)))  # divide by 255 first: x.float() / 255
message(lambda: Bins(64, low=1, high=0))
message(lambda: Bins(64, boundary="wrap"))
message(lambda: mutual_information(torch.rand(10), torch.rand(11), 8))  # pairs: resize one image to the other
