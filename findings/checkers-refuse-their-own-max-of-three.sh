#!/usr/bin/env bash
# autograd 1.9.1 and jax 0.10.2: the gradient checker of each refuses its own max where three entries tie, not for two.
#
# Guess: check_grads passes the library's own max at ties. Both share the gradient equally among the tied entries, which
#        is a valid subgradient, and with two tied entries the check passes.
# Seen:  three tied entries raise AssertionError in both, to first order, at every seed tried; two pass.
# Why:   along a random direction v the central difference of the max is (max v + min v)/2, and equal shares give the
#        mean of v. For two entries these are the same number, for three they are not.
# So such a checker's refusal at a tie says nothing about the gradient, and a test of ties in pairs passes by accident.
#
# Installs both into a temporary folder; fails if they behave otherwise.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check autograd==1.9.1 jax==0.10.2 jaxlib==0.10.2
"$folder/venv/bin/python" - <<'END'
from importlib.metadata import version

import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
from autograd import grad
from autograd.test_util import check_grads
from jax.test_util import check_grads as jax_check_grads

checks = {
    "autograd": lambda n: check_grads(anp.max, modes=["rev"], order=1)(np.ones(n)),
    "jax": lambda n: jax_check_grads(jnp.max, (jnp.ones(n),), order=1, modes=["rev"]),
}
gradients = {"autograd": lambda n: grad(anp.max)(np.ones(n)), "jax": lambda n: jax.grad(jnp.max)(jnp.ones(n))}
seen = set()
for name, check in checks.items():
    for n in (2, 3):
        assert np.allclose(gradients[name](n), 1 / n)
        for seed in range(5):
            np.random.seed(seed)
            try:
                check(n)
            except AssertionError:
                seen.add((name, n, "raises AssertionError"))
            else:
                seen.add((name, n, "passes"))
print(*(f"{name} {version(name)}, {n} tied: {result}" for name, n, result in sorted(seen)), sep="\n")
assert seen == {(name, n, result) for name in checks for n, result in ((2, "passes"), (3, "raises AssertionError"))}
END
echo "as described"
