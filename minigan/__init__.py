"""minigan: generative adversarial networks from scratch, every forward and backward pass written by hand."""

import os
import sys

__version__ = "0.1.0"

if "numpy" not in sys.modules:
    # After each product OpenBLAS's threads spin for 2^26 cycles, on cores that the rest of a step could use. Now they
    # sleep after 2^18, a tenth of a millisecond: the next product of a small network still finds them awake.
    # OpenBLAS reads this once, when NumPy loads it. `backend.share` is what uses the cores meanwhile.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")
