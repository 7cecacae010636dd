"""The `triton` backend: one file per operator, its kernels and their launchers. Imported when first used, as triton is optional."""
