"""What a check is about: the arrays, the two passes, and what else is known of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan.gradcheck.numeric import Terms


class Subject(NamedTuple):
    """What is checked: `y, cache = forward()` and `grads = backward(dy, cache)`, where grads has the names of `arrays`.

    forward reads the `arrays` anew on each call. Those named in `inputs` may be handed to it in another memory layout,
    by name; those in `batched` have the batch for their first axis, as y then has. `state` is what forward reads
    besides, and must not change. `others` are further forward passes of the same object, on arrays of their own, which
    a pass in flight must not notice, with a word on each: ("on other values", …). They may raise. `elsewhere` are the
    arrays at further points, where the gradients must be right, too.
    """

    arrays: dict[str, np.ndarray]
    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[[Any, Any], dict[str, Any]]
    inputs: tuple[str, ...] = ()
    batched: tuple[str, ...] = ()
    state: tuple[np.ndarray, ...] = ()
    constants: dict[str, float] = {}  # noqa: RUF012 (numbers that a wrong factor may be made of, for the diagnosis)
    suspects: dict[str, Terms] = {}  # noqa: RUF012 ({the diagnosis: what would then have been differentiated})
    others: tuple[tuple[str, Callable[[], tuple[Any, Any]]], ...] = ()
    elsewhere: tuple[dict[str, np.ndarray], ...] = ()
