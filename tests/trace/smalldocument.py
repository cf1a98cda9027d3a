"""A small trace document, made by hand of real layers: what the page is tested with beside the documents of real runs.

One step of D, of one pass through whatever layers it is given, and a loss of a linear kind or a cross-entropy.
"""

import base64
import inspect
import json
import re
import textwrap

import numpy as np

from minigan import nn
from minigan.backend import RandomStream
from minigan.gan import GANLoss
from minigan.nn import Sequential

WEB = None  # set by page_of
KINDS = {getattr(nn, name) for name in nn.__all__ if isinstance(getattr(nn, name), type)}


def packed(values, dtype):
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()


class Arrays(dict):
    """The document's arrays; `keep` returns an id."""

    def keep(self, array):
        array = np.asarray(array, np.float32)
        name = f"a{len(self)}"
        good = array[np.isfinite(array)].astype(float)
        counts, edges = np.histogram(good, 24) if good.size else (np.zeros(24, int), np.zeros(2))
        stats = {
            "min": good.min(), "max": good.max(), "mean": good.mean(), "std": good.std(),
            "zeros": float((array == 0).mean()), "bad": int(array.size - good.size),
            "hist": {"lo": float(edges[0]), "hi": float(edges[-1]), "counts": counts.tolist()},
        } if good.size else None  # fmt: skip
        self[name] = {"shape": array.shape, "dtype": "float32", "data": packed(array, "<f4"), "part": None, "map": None}
        self[name]["stats"] = stats
        return name


def kind_of(layer):
    return next((c.__name__ for c in type(layer).__mro__ if c in KINDS and c is not nn.Layer), None)


def options_of(layer):
    plain = {k: v for k, v in vars(layer).items() if isinstance(v, (int, float, str, tuple))}
    if isinstance(layer, nn.SpectralNorm):
        plain["layer"] = {"kind": kind_of(layer.layer), "options": options_of(layer.layer)}
    return plain


def source_of(layer, name):
    own = vars(type(layer)).get(name)
    return textwrap.dedent(inspect.getsource(own)) if inspect.isfunction(own) else None


def cache_of(layer, cache, arrays):
    if isinstance(layer, nn.Dropout) and cache is not None:
        return {"mask": arrays.keep(cache)}
    if isinstance(layer, nn.SpectralNorm):
        return {name: arrays.keep(np.ravel(getattr(cache, name))) for name in ("u", "v", "sigma")}
    return {}


def document(layers, in_shape, *, loss=None, batch=4, title="a small document", seed=0, spoil=None, history=None):
    """The document of one step of D: real and fake images, one batch of each, as one pass. `spoil(net)` may act first."""
    rng = np.random.default_rng(seed)
    loss = loss or GANLoss(output="logit")
    net = Sequential(layers, in_shape, rng=rng)
    net.params[...] += rng.normal(0, 0.05, net.params.shape)
    if spoil:
        spoil(net)
    arrays, records = Arrays(), []
    x = rng.standard_normal((2 * batch, *in_shape)).astype(np.float32)
    at, caches = x, []
    for i, layer in enumerate(net.layers):
        y, cache = layer.forward(at, train=True, rng=RandomStream(seed, "dropout"))
        caches.append(cache)
        records.append({
            "index": i, "name": f"{i}.{type(layer).__name__}", "class": type(layer).__name__, "kind": kind_of(layer),
            "repr": repr(layer), "options": options_of(layer), "doc": inspect.getdoc(type(layer)) or "",
            "source": {name: source_of(layer, name) for name in ("forward", "input_grad", "param_grads", "backward")},
            "x": records[-1]["y"] if records else arrays.keep(at), "y": arrays.keep(y), "cache": cache_of(layer, cache, arrays),
            "params": {n: {"value": arrays.keep(vars(layer)[n])} for n in layer.params(at.shape[1:])},
            "operations": {"forward": y.size, "backward": y.size}, "bytes": y.nbytes, "ms": {"forward": 0.1, "backward": 0.2},
            "total": {}, "differences": {},
        })  # fmt: skip
        at = y
    (value, *values), *gradients = loss.for_discriminator(at[:batch], at[batch:])
    d_out = np.concatenate(gradients).astype(np.float32)
    dy, dy_id = d_out, arrays.keep(d_out)
    parts = [
        {"name": name, "pass": 0, "rows": [k * batch, (k + 1) * batch], "out": records[-1]["y"], "d_out": dy_id, "share": 1.0,
         "label": loss.labels[k] if loss.kind == "bce" else None, "value": float(values[k])}
        for k, name in enumerate(("real", "fake"))
    ]  # fmt: skip
    for layer, record, cache in zip(net.layers[::-1], records[::-1], caches[::-1], strict=True):
        dx = layer.backward(dy, cache)
        record["dy"], record["dx"] = dy_id, arrays.keep(dx)
        for name, own in record["params"].items():
            own.update(grad=arrays.keep(layer.grads[name]), update=arrays.keep(-0.01 * layer.grads[name]))
        record["marked"] = dict.fromkeys(("y", "dx", *record["params"]), "all")
        dy, dy_id = dx, record["dx"]
    n = len(records)
    stations = [
        *({"type": "forward", "pass": 0, "layer": i} for i in range(n)),
        {"type": "loss", "pass": None, "layer": None},
        *({"type": "backward", "pass": 0, "layer": i} for i in reversed(range(n))),
        *({"type": "update", "pass": 0, "layer": i} for i in range(n) if records[i]["params"]),
    ]
    own = {"network": "D", "title": "D on real and fake images", "inputs": "images", "image_shape": None, "layers": records}
    told = {"kind": loss.kind, "output": loss.output, "generator": loss.generator, "parts": parts, "value": float(value)}
    step = {"player": "D", "title": "D's step", "text": "", "passes": [{**own, "from": "loss"}], "stations": stations}
    return {
        "format": 1, "title": title, "facts": [["recipe", "none"]], "notes": ["nothing is left out"], "first_bad": None,
        "arrays": arrays, "steps": [{**step, "loss": {**told, "penalty": None}}], "history": history,
    }  # fmt: skip


def page_of(document, web):
    """The page with this document in it, of the files in the folder `web`."""
    text = json.dumps(document, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    files = {"trace": text}
    template = (web / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([\w.]+)\}\}", lambda m: files.get(m[1]) or (web / m[1]).read_text(encoding="utf-8"), template)
