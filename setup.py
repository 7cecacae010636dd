"""Package layout: the folder `kernels/` is installed, and imported, as `huenet.kernels`.

A top-level package called `kernels` would overwrite the distribution of that name, so the folder never gets that import name.
In the repository itself, the symbolic link huenet/kernels does the same without installing anything.
"""

from setuptools import setup

setup(packages=["huenet", "huenet.kernels"], package_data={"huenet": ["py.typed"]})
