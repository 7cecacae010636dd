"""Special functions that Triton does not have on all of its targets, for windows in their form for kernels."""

import triton
import triton.language as tl


@triton.jit
def scaled_erfc(z):
    """exp(z^2) erfc(z) of z >= 0: with t = 2 / (2 + z), t times a polynomial in t, interpolated at the Chebyshev points of z in
    [0, 10] for float32, right to 6e-8 of itself, and of [0, 27] for float64, 6e-14; beyond, erfc(z) is zero to either."""
    t = 2 / (2 + z)
    if z.dtype == tl.float32:
        s = t * 2.4 - 1.4
        p = 1.98380996e-05 - 5.4249147e-05 * s
        p = (p * s + 0.0005873263) * s - 0.000631151734
        p = (p * s - 0.00615169429) * s + 0.00596606174
        p = (p * s + 0.1020296) * s + 0.326222252
        p = p * s + 0.572011976
    else:
        s = t * 2.1481481481481484 - 1.1481481481481481
        p = -3.382740591454403e-08 + 9.86198614625893e-09 * s
        p = (p * s - 2.1668941131398174e-08) * s + 2.578509148074233e-07
        p = (p * s - 3.223108277001291e-07) * s - 6.707179107577909e-07
        p = (p * s + 2.7197514398416957e-06) * s - 1.7606476246821043e-06
        p = (p * s - 1.0578099322829715e-05) * s + 2.7717183486485086e-05
        p = (p * s + 1.4465045655123714e-05) * s - 0.0001850574809129252
        p = (p * s + 0.00014280235173040306) * s + 0.0011092744911684576
        p = (p * s - 0.001794003943850264) * s - 0.00883472420347415
        p = (p * s + 0.012194828794067691) * s + 0.12411975947498353
        p = (p * s + 0.3380584422875182) * s + 0.5351568958073187
    return t * p
