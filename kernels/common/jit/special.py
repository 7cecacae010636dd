"""Special functions that Triton does not have on all of its targets, for windows in their form for kernels."""

import triton
import triton.language as tl


@triton.jit
def scaled_erfc(z):
    """exp(z^2) erfc(z) of z >= 1/2, with t = 2 / (2 + z) times a polynomial in t: interpolated at the Chebyshev points of z in
    [1/2, 10] for float32, right to 2e-8 of itself, and of [1/2, 27] for float64, 8e-15; beyond, erfc(z) is zero to either."""
    t = 2 / (2 + z)
    if z.dtype == tl.float32:
        s = t * 3.1578947368421053 - 1.5263157894736842
        p = 1.89382642e-5 - 6.73524384e-6 * s
        p = (p * s + 9.15934797e-5) * s - 0.000359187536
        p = (p * s - 0.001639186) * s + 0.00498333097
        p = (p * s + 0.0552905199) * s + 0.211740408
        p = p * s + 0.499493249
    else:
        s = t * 2.7358490566037736 - 1.1886792452830189
        p = -4.1448207172054289e-9 + 3.1909382700015829e-9 * s
        p = (p * s - 2.574316602606251e-8) * s + 6.4246319085576502e-8
        p = (p * s + 7.5624481909782308e-8) * s - 5.4195304366375214e-7
        p = (p * s + 3.318563258003713e-7) * s + 3.4653258825934328e-6
        p = (p * s - 7.2099283016818498e-6) * s - 2.0481736973370609e-5
        p = (p * s + 8.1985744304855226e-5) * s + 0.00015413352819792393
        p = (p * s - 0.00089006641145268416) * s - 0.0023631575224880562
        p = (p * s + 0.0090783235196938946) * s + 0.070298925415344818
        p = (p * s + 0.22515138933720587) * s + 0.46812571989271304
    return t * p
