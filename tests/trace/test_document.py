"""A trace as a document: valid JSON within its room, whose marked entries can be worked out from what it holds."""

import base64
import html.parser
import json

import numpy as np
import pytest

from minigan import nn
from minigan.backend import RandomStream
from minigan.gan import GANLoss, Penalty
from minigan.nn import BatchNorm, Conv2d, Dense, Layer, LeakyReLU, Sequential
from minigan.optim import Adam
from minigan.trace import differences, marks, selection, shelf, trace_step
from minigan.trace.document import Document, room_for_arrays
from minigan.trace.page import escaped, page
from minigan.trace.selection import Selection

LOSS = GANLoss(output="logit")


@pytest.fixture(autouse=True)
def few_differences(monkeypatch):
    monkeypatch.setattr(differences, "MOST", 2)


def traced(g_layers, d_layers, shape=(16,), *, loss=LOSS, x=None, N=4, **options):
    draw = np.random.default_rng(1)
    G, D = Sequential(g_layers, (6,), rng=draw), Sequential(d_layers, shape, rng=draw)
    x = draw.uniform(-1, 1, (N, *shape)).astype(np.float32) if x is None else x
    z = draw.standard_normal((N, 6)).astype(np.float32)
    return trace_step(G, D, Adam(G, lr=1e-2), Adam(D, lr=1e-2), loss, x, z, rng=RandomStream(0, "dropout"), **options)


def small(**options):
    return traced([Dense(12), BatchNorm(), Dense(16), nn.Tanh()], [Dense(8), LeakyReLU(slope=0.2), Dense(1)], **options)


def decoded(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


def held(array):
    """What the document holds of an array; NaN for the rest."""
    if array["data"] is not None:
        return decoded(array["data"], "<f4").reshape(array["shape"]).astype(float)
    found = np.full(array["shape"], np.nan)
    if array["part"]:
        found.ravel()[decoded(array["part"]["at"], "<u4")] = decoded(array["part"]["data"], "<f4")
    return found


def places(document):
    return [(s, p, layer) for s in document["steps"] for p in s["passes"] for layer in p["layers"]]


def entries(mark, shape):
    return np.arange(int(np.prod(shape))) if mark == "all" else decoded(mark, "<u4")


ALL_KINDS = {
    "flat": (
        lambda: [Dense(20), BatchNorm(), nn.Maxout(2), Dense(36), nn.Sigmoid()],
        lambda: [Dense(12), nn.Tanh(), nn.Dropout(drop=0.4), Dense(9), nn.ReLU(), Dense(1)],
        (36,),
    ),
    "images": (
        lambda: [
            Dense(27), nn.Reshape(3, 3, 3), BatchNorm(), nn.UpsampleConv2d(4, 3, scale=2), LeakyReLU(slope=0.2),
            nn.ConvTranspose2d(3, 4, stride=2, pad=1), BatchNorm(), nn.Upsample2d(1), Conv2d(2, 3, pad="same"),
            nn.Tanh(),
        ],
        lambda: [
            Conv2d(5, 4, stride=2, pad=1), LeakyReLU(slope=0.2), nn.MaxPool2d(3, stride=2, pad=1), nn.Dropout(drop=0.3),
            nn.Upsample2d(2), nn.Flatten(), Dense(1),
        ],
        (12, 12, 2),
    ),
}  # fmt: skip


def lone(layer, told, document):
    """The layer alone, in float64, with the weights that the document holds."""
    fresh = type(layer).__new__(type(layer))
    vars(fresh).update({k: v for k, v in vars(layer).items() if k not in ("grads", *told["params"])})
    shape = document["arrays"][told["x"]]["shape"]
    net = Sequential([fresh], tuple(shape[1:]), rng=np.random.default_rng(0), dtype=np.float64)
    for name, param in told["params"].items():
        getattr(net.layers[0], name)[...] = held(document["arrays"][param["value"]])
    return net


@pytest.mark.parametrize("share", [0.4, 2], ids=["parts", "whole"])
@pytest.mark.parametrize("kinds", ALL_KINDS)
def test_every_marked_entry_can_be_worked_out_from_what_the_document_holds(kinds, share, monkeypatch):
    g_layers, d_layers, shape = ALL_KINDS[kinds]
    trace = traced(g_layers(), d_layers(), shape)
    room = sum(array.nbytes for array in Selection(trace.steps, 10**9).shelf.arrays.values())
    if share < 1:
        settings = ((shelf, "SMALL", 12), (shelf, "SIDE", 2), (marks, "FEW", 8), (selection, "LEAST", 2))
        for module, name, value in settings:
            monkeypatch.setattr(module, name, value)
    document = Document(trace.steps, None, room=int(share * room)).tell(title="", facts=[], notes=[], history=None)
    parts = [a["part"] for a in document["arrays"].values() if a["part"]]
    assert (len(parts) > 10) == (share < 1)
    by_name, checked = {name: held(array) for name, array in document["arrays"].items()}, set()
    for _, made, told in places(document):
        layer = trace.networks[made["network"]].layers[told["index"]]
        net = lone(layer, told, document)
        x, mark = by_name[told["x"]], told["marked"]
        if told["kind"] == "Dropout":
            kept = by_name[told["cache"]["mask"]]
            found = {"y": x * kept, "dx": None if told["dy"] is None else by_name[told["dy"]] * kept}
        else:
            with np.errstate(all="ignore"):
                found = worked_out(net, x, by_name, told)
        for what, numbers in found.items():
            if mark.get(what) is None:
                continue
            at = entries(mark[what], numbers.shape)
            answers = told[what] if what in ("y", "dx") else told["params"][what]["grad"]
            answer = by_name[answers].ravel()[at]
            scale = max(1e-2, np.abs(answer).max())
            np.testing.assert_allclose(numbers.ravel()[at], answer, atol=2e-5 * scale, rtol=2e-5)
            checked.add((told["kind"], what))
    assert {kind for kind, _ in checked} == {layer["kind"] for *_, layer in places(document)}
    assert ("Dense", "W") in checked


def worked_out(net, x, by_name, told):
    """y, dx and the gradients of a layer, of whose arrays much may be NaN: an entry is not made of that."""
    layer = net.layers[0]
    y, cache = layer.forward(x, train=True)
    found = {"y": y}
    if told["dy"] is None:
        return found
    dy = by_name[told["dy"]]
    if told["dx"] is not None:
        found["dx"] = layer.input_grad(dy, cache)
    grads = {name: np.zeros_like(getattr(layer, name)) for name in told["params"]}
    layer.param_grads(dy, cache, grads)
    return {**found, **grads}


def test_the_document_is_json_without_nan_and_its_ids_and_stations_lead_somewhere():
    document = small().document(title="t", facts=[("a", "b")])
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    for _, _, layer in places(document):
        params = [param[key] for param in layer["params"].values() for key in param]
        ids = [layer[k] for k in ("x", "y", "dy", "dx")] + [*params, *layer["cache"].values(), *layer["total"].values()]
        assert {i for i in ids if i} <= document["arrays"].keys()
    for step in document["steps"]:
        kinds = [station["type"] for station in step["stations"]]
        assert kinds.count("loss") == 1
        assert kinds.index("loss") < kinds.index("backward") < kinds.index("update")
        for station in step["stations"]:
            if station["type"] != "loss":
                layer = step["passes"][station["pass"]]["layers"][station["layer"]]
                assert station["type"] != "update" or all(p["update"] for p in layer["params"].values())
                assert station["type"] != "backward" or layer["dy"]


def test_a_layers_output_and_the_next_ones_input_are_one_array():
    for step in small().document()["steps"]:
        for made in step["passes"]:
            for below, above in zip(made["layers"], made["layers"][1:], strict=False):
                assert below["y"] == above["x"]
                assert below["dy"] == above["dx"]


def test_central_differences_stand_beside_every_answer_and_agree():
    document = small().document()
    seen = set()
    for *_, layer in places(document):
        for what, found in layer["differences"].items():
            answer = layer["dx"] if what == "dx" else layer["params"][what]["grad"]
            at, data = decoded(found["at"], "<u4"), decoded(found["data"], "<f8")
            assert len(at) == len(data) > 0
            expected = held(document["arrays"][answer]).ravel()
            np.testing.assert_allclose(data, expected[at], atol=1e-8 + 1e-4 * np.abs(expected).max())
            seen.add((layer["kind"], what))
    assert {("Dense", "W"), ("Dense", "b"), ("Dense", "dx"), ("BatchNorm", "gamma"), ("Tanh", "dx")} <= seen
    for step in document["steps"]:
        for part in step["loss"]["parts"]:
            at = decoded(part["differences"]["d_out"]["at"], "<u4")
            slopes = decoded(part["differences"]["d_out"]["data"], "<f8")
            np.testing.assert_allclose(held(document["arrays"][part["d_out"]]).ravel()[at], slopes, rtol=1e-4)


class Cube(Layer):
    """x³. </script><script>alert("hostile")</script>"""

    def forward(self, x, *, train, rng=None):
        return x**3, x

    def input_grad(self, dy, cache):
        return dy * cache**2  # 3 times too small


def test_a_layer_without_a_known_formula_has_no_worked_numbers_but_differences_that_show_a_mistake():
    document = traced([Dense(16)], [Dense(8), Cube(), Dense(1)]).document()
    layer = document["steps"][0]["passes"][1]["layers"][1]
    assert (layer["class"], layer["kind"], layer["operations"]) == ("Cube", None, None)
    assert set(layer["marked"].values()) == {None}
    found = layer["differences"]["dx"]
    answer = held(document["arrays"][layer["dx"]]).ravel()[decoded(found["at"], "<u4")]
    np.testing.assert_allclose(decoded(found["data"], "<f8"), 3 * answer, rtol=1e-4)
    assert "cache**2  # 3 times too small" in layer["source"]["input_grad"]
    assert layer["source"]["backward"] is None


def test_a_derived_layer_with_a_backward_of_its_own_has_the_formula_and_one_with_a_forward_has_none():
    class Backward(Dense):
        def input_grad(self, dy, cache):
            return 2 * super().input_grad(dy, cache)

    class Forward(Dense):
        def forward(self, x, *, train, rng=None):
            return super().forward(2 * x, train=train)

    layers = traced([Dense(16)], [Backward(8), Forward(8), Dense(1)]).document()["steps"][0]["passes"][1]["layers"]
    assert [layer["kind"] for layer in layers] == ["Dense", None, "Dense"]
    assert "2 * super()" in layers[0]["source"]["input_grad"]
    assert "class Dense" not in layers[0]["source"]["forward"]


HOSTILE = '</script><script>alert("x")</script><!-- & \u2028'


class Parser(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.inside, self.text = [], False, ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.inside = ("id", "trace") in attrs

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        self.text += data if self.inside else ""


def test_no_text_of_a_document_can_become_markup():
    told = {"title": HOSTILE, "facts": [(HOSTILE, HOSTILE)], "notes": [HOSTILE]}
    plain, hostile = Parser(), Parser()
    plain.feed(page(small().document()))
    hostile.feed(page(traced([Dense(16)], [Dense(8), Cube(), Dense(1)]).document(**told)))
    assert plain.tags == hostile.tags
    assert json.loads(hostile.text)["title"] == HOSTILE
    assert not {"<", ">", "&", "\u2028"} & set(escaped({"title": HOSTILE}))


def test_the_page_asks_for_nothing_from_anywhere():
    text = page(small().document())
    assert "default-src 'none'" in text
    assert "{{" not in text.replace("{{trace}}", "") or "{{page" not in text
    for outside in ("http://", "https://", " src=", "@import"):
        assert outside not in text.split('id="trace"')[0], outside


def test_a_step_with_nan_says_where_it_is_first_and_is_a_page_all_the_same(tmp_path):
    x = np.zeros((4, 16), np.float32)
    x[2, 3] = np.nan
    trace = small(x=x)
    document = trace.document()
    assert document["first_bad"] == {"step": 0, "pass": 1, "layer": 0, "what": "x"}
    assert document["steps"][0]["loss"]["value"] is None
    trace.save(tmp_path / "nan.html")
    bad = next(a for a in document["arrays"].values() if a["stats"] and a["stats"]["bad"] == 1)
    assert sum(bad["stats"]["hist"]["counts"]) == np.prod(bad["shape"]) - 1


def test_first_bad_is_in_the_way_back_where_the_loss_is_finite():
    class Root(Layer):
        def forward(self, x, *, train, rng=None):
            return np.sqrt(np.abs(x)), x

        def input_grad(self, dy, cache):
            return dy / (2 * np.sqrt(np.abs(cache)) * 0)

    document = traced([Dense(16)], [Dense(8), Root(), Dense(1)]).document()
    assert document["first_bad"] == {"step": 0, "pass": 1, "layer": 1, "what": "dx"}
    assert small().document()["first_bad"] is None


def test_a_large_network_keeps_to_the_room_and_says_what_it_leaves_out():
    trace = traced([Dense(120), Dense(16)], [Dense(120), LeakyReLU(slope=0.2), Dense(120), Dense(1)], N=16)
    for room in (300_000, 60_000):
        document = Document(trace.steps, None, room=room).tell(title="", facts=[], notes=[], history=None)
        assert len(json.dumps(document["arrays"])) < 4 / 3 * room + 600 * len(document["arrays"])
        assert any("too large to be here whole" in note for note in document["notes"])
        assert any(mark not in ("all", None) for *_, layer in places(document) for mark in layer["marked"].values())
    notes = Document(trace.steps, None, room=1000).chosen.notes
    assert "so large that nothing can be worked out" in notes[0]


def test_a_long_history_takes_its_room_from_the_arrays():
    trace = small()
    taken = room_for_arrays(trace.steps, None) - room_for_arrays(trace.steps, {"pictures": ["x" * 4000]})
    assert 3000 <= taken <= 3100
    assert room_for_arrays(trace.steps, {"pictures": ["x" * 5_000_000]}) == 0


def test_the_maps_of_large_arrays_are_means_of_blocks():
    array = np.arange(130 * 100, dtype=np.float32).reshape(130, 100)
    blocks = shelf.map_of(array)
    assert blocks.shape == (64, 64)
    row, column = np.arange(130) * 64 // 130, np.arange(100) * 64 // 100
    block = array[row == 5][:, column == 9]
    assert blocks[5, 9] == pytest.approx(block.mean())
    np.testing.assert_array_equal(shelf.map_of(array[:3, :4]), array[:3, :4])


def test_a_penalised_step_tells_its_passes_apart():
    options = {"penalty": Penalty("wgan-gp"), "penalty_rng": RandomStream(0, "penalty")}
    document = small(loss=GANLoss(output="logit", kind="wasserstein"), **options).document()
    step = document["steps"][0]
    assert [made["from"] for made in step["passes"]] == [None, "loss", "ones"]
    assert "points between real images and fakes" in step["passes"][2]["title"]
    param = step["passes"][2]["layers"][0]["params"]["W"]
    assert param["grad"] is None
    assert param["penalty"] in document["arrays"]
    assert step["loss"]["penalty"] > 0


@pytest.mark.parametrize("curved", [False, True], ids=["straight", "curved"])
@pytest.mark.parametrize("batching", ["as one", "apart"])
@pytest.mark.parametrize("kind", ["r1", "r2", "wgan-gp", "dragan"])
def test_what_a_penalty_writes_agrees_with_differences_of_the_penalty(kind, batching, curved):
    d_layers = [Dense(8), nn.Tanh() if curved else LeakyReLU(slope=0.2), Dense(1)]
    if batching == "apart":  # a layer that may look at others of its batch, as far as it says
        d_layers[1] = type("Unsaid", (type(d_layers[1]),), {})(**({} if curved else {"slope": 0.2}))
    options = {"penalty": Penalty(kind, weight=2.0), "penalty_rng": RandomStream(0, "penalty")}
    document = traced([Dense(16), nn.Tanh()], d_layers, **options).document()
    made = next(made for made in document["steps"][0]["passes"] if made["from"] == "ones")
    for layer in (made["layers"][0], made["layers"][2]):
        param, found = layer["params"]["W"], layer["differences"]["W"]
        answer = held(document["arrays"][param.get("penalty") or param["grad"]]).ravel()
        at, slopes = decoded(found["at"], "<u4"), decoded(found["data"], "<f8")
        assert len(at)
        np.testing.assert_allclose(slopes, answer[at], atol=1e-4 * np.abs(answer).max())


def test_the_loss_comes_with_its_source():
    assert "(p - t) / n" in small().document()["steps"][0]["loss"]["source"]
    wasserstein = small(loss=GANLoss(output="logit", kind="wasserstein")).document()
    assert "def signed_mean" in wasserstein["steps"][1]["loss"]["source"]


def test_marks_hold_the_largest_and_the_smallest_entry_and_few_coordinates():
    array = np.random.default_rng(0).standard_normal((50, 300)).astype(np.float32)
    found = marks.marked(array, 256)
    assert {int(array.argmax()), int(array.argmin())} <= set(found.tolist())
    assert 192 <= len(found) <= 258
    assert len(np.unique(found % 300)) <= 18
    np.testing.assert_array_equal(marks.coarse((7,), 256), np.arange(7))
