#!/usr/bin/env bash
# numba 0.68.1: a loop over range(lo, hi) of an array is not vectorised where the same loop over its slice is.
#
# Guess: to do a part of an array, `for i in range(lo, hi)` over the whole one and `for i in range(part.size)` over
#        array[lo:hi] are the same loop, and compile to the same vector instructions.
# Seen:  a bound that numba cannot prove to be 0 or more may make an index that counts from the end, which is asked at
#        each step: the first loop adds one number at a time (addss), only the second several (addps). Of a million
#        numbers that was 0.48 ms instead of 0.09.
# So work that is shared among threads is handed out as slices, not as bounds.
#
# Installs numba into a temporary folder; reads the machine code of an x86 processor; fails if it is otherwise.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numba==0.68.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'END'
import re

import numba
import numpy as np


def bounds(lo, hi, out, x):
    for i in range(lo, hi):
        out[i] = out[i] + x[i]


def whole(out, x):
    for i in range(out.size):
        out[i] = out[i] + x[i]


def run(function, *arguments):
    """The additions in the machine code of the function, which has been run and is right."""
    out, x = np.zeros(1000, np.float32), np.arange(1000, dtype=np.float32)
    loop = numba.njit(function)
    loop(*arguments, *((out, x) if arguments else (out[100:900], x[100:900])))
    np.testing.assert_array_equal(out, np.where((x >= 100) & (x < 900), x, 0))
    return sorted(set(re.findall(r"\bv?add[sp]s\b", "\n".join(loop.inspect_asm().values()))))


one, several = run(bounds, 100, 900), run(whole)
print(f"numba {numba.__version__}", f"from lo to hi: {one}", f"a slice: {several}", sep="\n")
assert one in (["addss"], ["vaddss"])
assert {"addps", "vaddps"} & set(several)
END
echo "as described"
