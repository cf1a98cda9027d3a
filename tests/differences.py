"""Where CuPy and its stand-in (standin.py) differ: each line is tried on both (backend/test_standin.py).

    python tests/hostcuda/run.py tests/differences.py     print the table of hostcuda/README.md

`a` is an array of the library `xp`, 2 by 2 and float32, `i` one of indices of its first axis; `here` is NumPy's array
of a's values. An outcome is the error's class, or "answers". What stands in no line, and in none of the stand-in's
tests, nobody has compared.
"""

import warnings

import numpy as np

REFUSALS = (
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
)  # their subclasses, such as UFuncTypeError, are told alike

#: (what is asked, what the stand-in does, what CuPy does), in groups: what is more than a matter of the stand-in's
#: having less comes first.
DIFFERENCES = [
    ("bool(a[:0])", "ValueError", "answers"),  # False, and warns that it will be an error
    ("a[...] = [1.0, 2.0]", "TypeError", "ValueError"),
    ("a[0] = here[0]", "TypeError", "ValueError"),
    ("a[...] = np.array(7.0)", "TypeError", "answers"),  # the only array of NumPy's that goes in
    ("xp.matmul(a, 2.0)", "ValueError", "TypeError"),
    ("xp.concatenate([a[0], a[0, 0]])", "ValueError", "TypeError"),
    ("xp.maximum(a, 0, dtype='int64')", "TypeError", "answers"),  # NumPy refuses so unsafe a cast
    ("np.exp(a)", "TypeError", "answers"),
    ("np.mean(a)", "TypeError", "answers"),
    ("np.concatenate([a, a])", "TypeError", "answers"),
    ("a == None", "TypeError", "answers"),
    ("a * 1j", "TypeError", "answers"),
    ("a ** 2", "TypeError", "answers"),
    ("a // 2", "TypeError", "answers"),
    ("a % 2", "TypeError", "answers"),
    ("(a > 0) & (a > 1)", "TypeError", "answers"),
    ("(a > 0) | (a > 1)", "TypeError", "answers"),
    ("~(a > 0)", "TypeError", "answers"),
    ("f'{a[0, 0]:.2f}'", "TypeError", "answers"),
    ("a[i, i]", "TypeError", "answers"),
    ("a[i] = 0", "TypeError", "answers"),
    ("a[a > 0] = 0", "TypeError", "answers"),
    ("a.sum(dtype='float64')", "TypeError", "answers"),
    ("a.mean(axis=0, keepdims=True)", "TypeError", "answers"),
    ("a.min(axis=0)", "TypeError", "answers"),
    ("a.max(axis=0, out=a[0])", "TypeError", "answers"),
    ("a.all(axis=0)", "TypeError", "answers"),
    ("a.reshape(4, order='F')", "TypeError", "answers"),
    ("xp.asnumpy(here)", "TypeError", "answers"),
    ("xp.asarray(here, dtype='float64')", "TypeError", "answers"),
    ("xp.asarray([a[0], a[0]])", "TypeError", "answers"),
    ("xp.where(a > 0)", "TypeError", "answers"),
    ("xp.clip(a, 0, None)", "TypeError", "answers"),
    ("xp.multiply(a, a, out=(a,))", "TypeError", "answers"),
    ("xp.zeros(2, order='F')", "TypeError", "answers"),
    ("xp.zeros_like(here)", "TypeError", "answers"),
    ("xp.zeros_like(a, dtype='int64')", "TypeError", "answers"),
    *((f"a.{name}", "AttributeError", "answers") for name in (
        "any()", "argmax()", "dot(a)", "fill(0)", "flat", "get()", "item", "nbytes", "ravel()", "round()", "tolist()",
    )),
    *((f"xp.{name}", "AttributeError", "answers") for name in (
        "abs(a)", "einsum('ij,jk', a, a)", "pad(a, 1)", "stack([a, a])", "sum(a)",
    )),
]  # fmt: skip


def outcome(asked, xp):
    """What the library `xp` does when asked."""
    here = np.array([[1.0, -2.0], [3.0, 4.0]], np.float32)
    names = {"xp": xp, "np": np, "here": here, "a": xp.asarray(here), "i": xp.asarray(np.array([1]))}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(asked, names)
    except REFUSALS as error:
        return next(kind.__name__ for kind in REFUSALS if isinstance(error, kind))
    return "answers"


def table():
    lines = ["| asked | the stand-in | CuPy |", "|---|---|---|"]
    lines += [f"| `{asked.replace('|', chr(92) + '|')}` | {ours} | {theirs} |" for asked, ours, theirs in DIFFERENCES]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
