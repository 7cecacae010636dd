"""Package layout: the folder `kernels/` is installed, and imported, as `huenet.kernels`.

A top-level package called `kernels` would overwrite the distribution of that name, so the folder never gets that import name.
In the repository itself, the symbolic link huenet/kernels does the same without installing anything.
"""

from setuptools import find_packages, setup

DATA = [f"**/*.{suffix}" for suffix in ("safetensors", "html", "css", "js")]

setup(packages=find_packages(include=["huenet", "huenet.*"]), package_data={"huenet": ["py.typed", *DATA]})
