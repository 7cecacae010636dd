"""Tests of the Triton kernels in Triton's interpreter, which must be chosen before they are imported and so needs a process of its
own: `TRITON_INTERPRET=1 python -m pytest tests/interpreted`, as `make test` does."""

import os

collect_ignore_glob = [] if os.environ.get("TRITON_INTERPRET") == "1" else ["test_*.py"]
