"""The page of a traced step, in a real browser: its numbers, its keys and clicks, and what it shows of wrong code."""

import math
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from minigan.backend import RandomStream
from minigan.exercises import plugged_in
from minigan.gan import Feeding, GANLoss, Penalty
from minigan.nn import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Flatten,
    LeakyReLU,
    Maxout,
    MaxPool2d,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    SpectralNorm,
    Tanh,
    Upsample2d,
    UpsampleConv2d,
)
from minigan.optim import SGD, Adam
from minigan.recipes import RECIPES
from minigan.trace import differences, trace_step
from minigan.trace.page import page

MUSEUM = Path(__file__).parents[2] / "demos" / "museum"
sys.path.insert(0, str(MUSEUM))  # its files import one another, as under `python demos/museum`
try:
    from exhibits import EXHIBITS
finally:
    sys.path.remove(str(MUSEUM))

pytestmark = pytest.mark.extra
LOGIT = GANLoss(output="logit")


class Tab:
    """The one tab of all tests, and what its pages said and asked for."""

    def __init__(self, tab):
        self.tab, self.said, self.asked = tab, [], []
        tab.on("console", lambda message: self.said.append(message.text))
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("dialog", lambda dialog: (self.said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        tab.on("request", lambda request: self.asked.append(request.url))


@pytest.fixture(scope="module")
def opened(browser):
    return Tab(browser.new_page())


@pytest.fixture
def show(opened, tmp_path):
    """A function that opens a page, or a document's; at the end no page may have complained, or asked for anything."""
    opened.said.clear()
    opened.asked.clear()
    path = tmp_path / "page.html"

    def show(given, at="", *, width=1300, color_scheme="light"):
        path.write_text(given if isinstance(given, str) else page(given), encoding="utf-8")
        assert path.stat().st_size < 5e6
        opened.tab.set_viewport_size({"width": width, "height": 900})
        opened.tab.emulate_media(color_scheme=color_scheme)
        opened.tab.goto("about:blank")  # or another #address of the same file would be no new page
        opened.tab.goto(path.as_uri() + at)
        return opened.tab

    yield show
    assert opened.said == []
    other = [url for url in opened.asked if url.split("#")[0] not in (path.as_uri(), "about:blank")]
    assert [url for url in other if not url.startswith("data:image/png;base64,")] == []


# What is shown -------------------------------------------------------------------------------------------------------


def traced(d_layers, shape, *, loss=LOGIT, g_layers=None, n=4, spoil=None, dtype=np.float32, **options):
    """A step of small networks: images of this shape, and latents of three numbers."""
    rng = np.random.default_rng(0)
    G = Sequential(g_layers or [Dense(math.prod(shape)), Reshape(*shape)], (3,), rng=rng, dtype=dtype)
    D = Sequential(d_layers, shape, rng=rng, dtype=dtype)
    for net in (G, D):
        net.params[...] += rng.normal(0, 0.05, net.params.shape)
    if spoil:
        spoil(G, D)
    x, z = (rng.standard_normal((n, *s)).astype(dtype) for s in (shape, (3,)))
    return trace_step(G, D, SGD(G, lr=0.1), SGD(D, lr=0.1), loss, x, z, rng=RandomStream(0, "dropout"), **options)


@cache
def small(name):
    """Traces of all layers and losses, in networks that take no time."""
    flat = [Dense(6), LeakyReLU(slope=0.2), BatchNorm(), Dropout(drop=0.3), Dense(8), Maxout(2), SpectralNorm(Dense(4))]
    if name == "flat":
        return traced([*flat, Tanh(), Dense(3), ReLU(), Dense(4), Sigmoid(), Dense(1)], (5,))
    if name == "images":
        down = [Conv2d(3, 4, stride=2, pad=1), LeakyReLU(slope=0.2), BatchNorm(), MaxPool2d(3, stride=2, pad=1)]
        more = [SpectralNorm(Conv2d(2, 3, pad="same", stride=(2, 1))), Conv2d(2, 2, pad=((1, 0), (0, 1))), Flatten()]
        up = [Dense(12), Reshape(2, 3, 2), ConvTranspose2d(3, (4, 3), stride=(2, 1), pad=1), BatchNorm(), ReLU()]
        g_layers = [*up, UpsampleConv2d(2, 3), Upsample2d((1, 2)), ConvTranspose2d(2, 2, stride=1, pad="same"), Tanh()]
        return traced([*down, *more, Dense(1)], (8, 12, 2), g_layers=g_layers)
    critic = [Dense(6), Tanh(), Dense(1)]
    probability = [Dense(6), Tanh(), Dense(1), Sigmoid()]
    losses = {
        "probability": (probability, GANLoss(labels=(0.9, 0.1))),
        "minimax": (probability, GANLoss(generator="minimax")),
        "hinge": (critic, GANLoss(kind="hinge", output="logit")),
        "wasserstein": (critic, GANLoss(kind="wasserstein", output="logit")),
        "one mean": (critic, LOGIT),
    }
    layers, loss = losses[name]
    options = {"feeding": Feeding(batching="concat")} if name == "one mean" else {}
    return traced(layers, (4,), loss=loss, **options)


HISTORY = {
    "epochs": [1, 2, 3],
    "metrics": {
        "d_loss": [1, 0.8, None],
        "g_loss": [0.5, 0.7, 3],
        "acc_real": [0.5, 0.7, 1],
        "acc_fake": [0.5, 1, 1],
    },
    "norms": {"D": {"0.Dense": [1e-4, 1e-3, 1e-2], "2.Dense": [1, 2, 3]}, "G": {"0.Dense": [1, 1e-6, None]}},
    "pictures": None,
}


def told(trace, *, most=1, **options):
    """Its document, with few of the differences, which take the most time: so many of an array."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differences, "MOST", most)
        return trace.document(**options)


@cache
def document(name):
    """The document of a small trace, or of a recipe's untrained networks on random images, pytorch-mlp in full size."""
    if name not in RECIPES:
        return told(small(name), most=3, title=name, history=HISTORY)
    recipe = RECIPES[name] if name == "pytorch-mlp" else RECIPES[name].smoke()
    G, D = recipe.networks(np.random.default_rng(0))
    rng, n = np.random.default_rng(1), 16 if len(D.in_shape) == 1 else 2
    x, z = np.tanh(rng.standard_normal((n, *D.in_shape))), rng.standard_normal((n, *G.in_shape))
    loss = GANLoss(recipe.g_loss, recipe.d_output, recipe.labels, recipe.loss_kind)
    players = G, D, Adam(G, lr=recipe.lr_g), Adam(D, lr=recipe.lr_d)
    feeding, rng = Feeding(batching=recipe.d_batching), RandomStream(0, "dropout")
    made = trace_step(*players, loss, x.astype(np.float32), z.astype(np.float32), feeding=feeding, rng=rng)
    return told(made, title=name, history=HISTORY)


@cache
def shown(name):
    """Its page."""
    return page(document(name))


SMALL = ("flat", "images", "probability", "minimax", "hinge", "wasserstein", "one mean")
REAL = ("pytorch-mlp", "flux-dcgan", "best")

#: Every answer of every station, at as many of its clickable entries as asked: how far the page's number is from it.
WORKED = """(most) => TRACE.steps.flatMap((step, s) => step.stations.flatMap((station, k) =>
  answersAt(step, station).flatMap(({ answer, array, marks, worked }) => {
    const count = marks === null ? array.size : marks.length, layer = layerAt(step, station);
    const kind = station.type === "loss" ? `loss ${step.player} ${step.loss.kind} ${step.loss.output}` : layer.kind;
    const chosen = Array.from({ length: Math.min(most, count) }, (_, i) => (i * 7919 + s + k) % count);
    return chosen.map((i) => marks === null ? i : marks[i]).map((flat) => {
      const { sum, formed, stored, differences } = worked(flat);
      return { kind, answer, formed, stored, differences, size: sum && sum.size, at: [s, k, flat] };
    });
  })))"""


@pytest.mark.parametrize("name", [*SMALL, *REAL])
def test_every_worked_number_is_the_traced_one_to_a_hundred_thousandth_of_its_products(show, name):
    entries = show(shown(name)).evaluate(WORKED, 40)
    assert len(entries) > 50
    for entry in entries:
        assert entry["formed"] is not None, entry
        assert abs(entry["formed"] - entry["stored"]) <= 1e-5 * entry["size"] + 1e-37, entry
        if entry["differences"] is not None:
            assert abs(entry["formed"] - entry["differences"]) <= 1e-4 * entry["size"] + 1e-9, entry


def test_no_layer_and_no_loss_is_without_its_formulas(show):
    seen = {}
    for name in SMALL:
        for entry in show(shown(name)).evaluate(WORKED, 1):
            seen.setdefault(entry["kind"], set()).add(entry["answer"])
    both = {"y", "dx"}
    for kind in (Dense, Conv2d, ConvTranspose2d, UpsampleConv2d, SpectralNorm):
        assert seen[kind.__name__] == {*both, "dW", "db"}
    assert seen["BatchNorm"] == {*both, "dgamma", "dbeta"}
    for kind in (ReLU, LeakyReLU, Tanh, Sigmoid, Dropout, Flatten, Reshape, Maxout, MaxPool2d, Upsample2d):
        assert seen[kind.__name__] == both
    losses = ("bce logit", "bce probability", "hinge logit", "wasserstein logit")
    assert {f"loss {player} {loss}" for player in "DG" for loss in losses} <= set(seen)


#: [[the factors, the product], …] as they stand on the page.
PRODUCTS = """[...document.querySelectorAll('.products tbody tr')].map((row) =>
  [[...row.querySelectorAll('.factor b')].map((b) => b.textContent), row.lastChild.textContent])"""


def number(text):
    """A number as the page writes it."""
    digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
    return float(text.translate(digits).replace("·10", "e").replace(",", ""))


@pytest.mark.parametrize("name", ["flat", "images", "pytorch-mlp"])
def test_the_factors_that_are_shown_multiply_and_add_up_to_the_layers_answer(show, name):
    tab, rng = show(shown(name)), np.random.default_rng(0)
    stations = [(s, k) for s, step in enumerate(document(name)["steps"]) for k in range(len(step["stations"]))]
    for at in rng.permutation(len(stations))[:12]:
        s, k = stations[at]
        tab.evaluate(f"go({s}, {k})")
        if tab.locator(".open").count():
            tab.click(".open")
        rows = tab.evaluate(PRODUCTS)
        answers = tab.locator(".comparison td").all_inner_texts()
        products = [math.prod(map(number, factors)) for factors, _ in rows]
        size = sum(map(abs, products)) + 1e-12
        for product, (_, text) in zip(products, rows, strict=True):
            assert product == pytest.approx(number(text), rel=1e-3, abs=1e-4 * size)
        assert abs(sum(products) - number(answers[1])) < 3e-4 * size, (s, k)
        assert "agrees" == tab.locator(".short").inner_text()


# What is wrong -------------------------------------------------------------------------------------------------------


def networks(piece):
    """{exhibit's piece: a D with it, and the images' shape}."""
    return {
        "BatchNorm": lambda: ([Dense(6), piece(), Dense(1)], (5,)),
        "LeakyReLU": lambda: ([Dense(6), piece(slope=0.01), Dense(1)], (5,)),
        "Dropout": lambda: ([Dense(6), piece(drop=0.5), Dense(1)], (5,)),
        "Tanh": lambda: ([Dense(6), piece(), Dense(1)], (5,)),
        "Dense": lambda: ([Dense(6), Tanh(), piece(6), Tanh(), Dense(1)], (5,)),
        "Permute": lambda: ([piece(3, 1, 2), Flatten(), Dense(1)], (3, 4, 2)),
    }


def exhibited(exhibit, piece):
    """A trace with this piece of the exhibit in it."""
    with ExitStack() as stack:
        plain, options, loss = ([Dense(6), Tanh(), Dense(1), Sigmoid()], (5,)), {}, LOGIT
        if exhibit.name.endswith("_step"):
            step = piece if piece is exhibit.right else lambda *args, feeding, **rest: piece(*args, **rest)
            options, loss = {f"{exhibit.name[0]}_step": step}, GANLoss()
        elif exhibit.name == "penalise":
            stack.enter_context(plugged_in(penalise=piece))
            plain = [Dense(6), LeakyReLU(slope=0.2), Dense(1)], (5,)
            loss = GANLoss(kind="wasserstein", output="logit")
            penalty = Penalty("wgan-gp", every=16 if "not the more" in exhibit.title else 1)
            options = {"penalty": penalty, "penalty_rng": RandomStream(0, "penalty"), "dtype": np.float64}
        elif exhibit.name == "binary_cross_entropy":
            stack.enter_context(plugged_in(binary_cross_entropy=piece))
            loss = GANLoss()
        else:
            plain = networks(piece)[exhibit.name]()

        def before(G, D):  # what the step before left in the gradients
            for net in (G, D):
                net.grads[...] = 0.1

        return traced(*plain, loss=loss, spoil=before, **options)


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.slug)
def test_each_wrong_piece_of_the_museum_is_shown_as_a_disagreement_and_the_right_one_is_not(show, exhibit):
    right = show(told(exhibited(exhibit, exhibit.right)))
    right.wait_for_selector("html[data-audited]")
    assert right.locator("#wrong").is_hidden()
    tab = show(told(exhibited(exhibit, exhibit.wrong), most=3))
    tab.wait_for_selector("html[data-audited]")
    tab.click("#wrong button")
    shown = tab.locator("#audit.wrong, .verdict.wrong").all_inner_texts()
    assert any("does not agree" in text.lower() or "do not agree" in text for text in shown)
    assert tab.locator("#map button.wrong[aria-current]").count() == 1


def test_a_wrong_number_is_told_with_what_the_products_and_the_differences_say(show):
    tab = show(told(exhibited(EXHIBITS[4], EXHIBITS[4].wrong), most=3))
    tab.wait_for_selector("html[data-audited]")
    tab.click("#wrong button")
    said = tab.locator(".verdict.wrong").inner_text()
    assert said.startswith("Does not agree. The layer's own answer is ")
    assert "the products say" in said
    assert "finite differences say" in said


def test_what_is_no_number_is_bannered_hatched_and_called_so(show):
    def spoil(G, D):
        D.layers[2].W[1, 0] = np.nan

    tab = show(told(traced([Dense(6), Tanh(), Dense(4), Tanh(), Dense(1)], (5,), spoil=spoil)))
    assert "NaN or infinity appears first" in tab.locator("#bad").inner_text()
    tab.click("#bad button")
    assert tab.locator("#station-title").inner_text() == "Forward: 2.Dense"
    assert "NaN" in tab.locator("#worked").inner_text()
    assert "not finite" in tab.locator("#answers").inner_text()


# How it is used ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_keys_and_buttons_walk_through_every_station_of_both_steps(show, name):
    tab = show(shown(name), at="#0/0")
    steps = document(name)["steps"]
    count = sum(len(step["stations"]) for step in steps)
    titles = [tab.locator("#station-title").inner_text()]
    for i in range(count - 1):
        tab.click("#next") if i % 8 == 0 else tab.keyboard.press("ArrowRight")
        titles.append(tab.locator("#station-title").inner_text())
    assert tab.locator("#next").is_disabled()
    assert tab.url.split("#")[1].startswith(f"1/{len(steps[1]['stations']) - 1}")
    kinds = {"forward": "Forward", "loss": "The loss", "backward": "Backward", "update": "Update"}
    assert [t.split(":")[0] for t in titles] == [kinds[s["type"]] for step in steps for s in step["stations"]]
    tab.keyboard.press("Home")
    assert tab.locator("#place").inner_text().startswith("Station 1 of")
    tab.keyboard.press("ArrowLeft")
    assert tab.url.split("#")[1].startswith(f"0/{len(steps[0]['stations']) - 1}")
    tab.click("#back")
    tab.keyboard.press("End")
    tab.click("#first")
    assert tab.locator("#back").is_disabled()
    tab.click("#last")
    tab.click("#tabs >> text=G's step")
    assert tab.locator("#station-pass").inner_text().startswith("G's step")


def test_every_button_of_the_map_goes_to_the_station_that_it_names(show):
    tab = show(shown("minimax"))
    tab.click("#tabs >> text=G's step")
    assert tab.locator("#map button").count() == len(document("minimax")["steps"][1]["stations"])
    for button in tab.locator("#map button").all():
        button.click()
        words, title = button.get_attribute("aria-label"), tab.locator("#station-title").inner_text()
        way = {"forward": "Forward", "back": "Backward", "update": "Update", "the": "The loss"}[words.split()[0]]
        assert title.startswith(way)
        assert title.split(": ")[-1].lower().endswith(words.split()[-1].lower())
        assert button.get_attribute("aria-current") == "step"


def test_a_newcomer_finds_an_example_at_once_and_a_click_and_the_arrow_keys_choose_others(show):
    tab = show(shown("pytorch-mlp"))
    assert tab.locator("#station-title").inner_text().startswith("Backward: ")
    assert tab.locator("#hint").inner_text().startswith("Click a square of dW")
    assert "the largest of 32 such products" in tab.locator("#worked").inner_text()
    heat = tab.locator("canvas[data-array=dW]")
    heat.click(position={"x": 30, "y": 30})
    chosen = tab.evaluate("HERE.flat")
    assert chosen == 33  # the second row of 32
    assert tab.url.endswith(f"/dW/{chosen}")
    heat.press("ArrowRight")
    assert tab.evaluate("HERE.flat") == 34
    heat.press("ArrowUp")
    assert tab.evaluate("HERE.flat") == 2
    assert "dW[2, 0]" in heat.get_attribute("aria-label")
    tab.fill("#find", "7, 0")
    tab.keyboard.press("Enter")
    assert tab.evaluate("HERE.flat") == 7
    tab.fill("#find", "700, 0")
    tab.keyboard.press("Enter")
    assert "(256, 1)" in tab.locator("#found").inner_text()
    tab.locator(".near button").first.click()
    assert tab.locator(".near button[aria-pressed=true]").count() == 1


def test_of_a_large_array_a_click_takes_the_nearest_marked_entry(show):
    tab = show(shown("pytorch-mlp"))
    tab.evaluate("go(0, TRACE.steps[0].stations.findLastIndex((s) => s.type === 'backward'))")
    heat = tab.locator("canvas[data-array=dW]")
    assert "marked entries" in tab.locator("#answers").inner_text()
    before = tab.evaluate("HERE.flat")
    heat.click()  # its middle: a corner may be scrolled out of its frame
    assert tab.evaluate("HERE.flat") != before
    assert tab.evaluate("SHOWN.figures[0].marks.includes(HERE.flat)")


def test_a_factor_leads_to_where_it_was_made_and_the_browsers_back_returns(show):
    tab = show(shown("flat"))
    begun = tab.url
    name = tab.locator("button.factor .name").first.inner_text()
    tab.locator("button.factor").first.click()
    assert tab.locator("#station-title").inner_text().startswith("Forward: ")
    assert tab.locator("#worked h3").inner_text().split("[")[1].split("]")[0] == name.split("[")[1].split("]")[0]
    tab.go_back()
    assert tab.url == begun
    assert tab.locator("#station-title").inner_text().startswith("Backward: ")


def test_a_link_reproduces_what_was_seen(show):
    tab = show(shown("flat"), at="#1/3/y/5")
    assert tab.evaluate("[HERE.step, HERE.station, HERE.answer, HERE.flat]") == [1, 3, "y", 5]
    for nonsense in ("#9/9/y/5", "#0/0/__proto__/5", "#%00", "#%E0%A4", "#run/99", "#0/0/y/999999"):
        assert show(shown("minimax"), at=nonsense).locator("#place").inner_text()


def test_the_source_of_this_way_stands_beside_it(show):
    tab = show(shown("flat"), at="#0/0")
    assert "def forward(self" in tab.locator("#code").inner_text()
    tab = show(shown("flat"))
    assert "def param_grads(self" in tab.locator("#code").inner_text()
    assert "def input_grad(self" in tab.locator("#code").inner_text()


def test_the_scrubber_shows_every_checkpoint(show):
    tab = show(shown("flat"))
    tab.click("#tabs >> text=The run")
    assert tab.locator("#epoch").inner_text() == "Epoch 3"
    tab.locator("#scrubber").fill("1")
    assert tab.locator("#epoch").inner_text() == "Epoch 2"
    assert "0.8" in tab.locator("#values").inner_text()
    assert tab.url.endswith("#run/1")
    tab.keyboard.press("Home")
    assert tab.locator("#bars .bar").count() == 3
    tab.click("#tabs >> text=D's step")
    assert tab.locator("#station").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1300])
def test_nothing_is_cut_in_either_theme_or_width(show, scheme, width):
    tab = show(shown("images"), width=width, color_scheme=scheme)
    for k in (0, 5, 25, 30):
        tab.evaluate(f"go(1, {k})")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    colour = "getComputedStyle(document.body).backgroundColor"
    before = tab.evaluate(colour)
    tab.click("#theme")
    assert tab.evaluate(colour) != before


HOSTILE = "</script><img src=x onerror=alert(1)><b>{{trace}}\u2028&amp;"


def test_hostile_names_are_only_text(show):
    bad = type(HOSTILE, (Dense,), {"__doc__": HOSTILE})
    made = traced([bad(4), Tanh(), bad(1)], (5,))
    named = {"norms": {HOSTILE: {HOSTILE: [1, 2, 3]}}, "metrics": {HOSTILE: [1, 2, 3]}, "pictures": [HOSTILE] * 3}
    history = {**HISTORY, **named}
    document = told(made, title=HOSTILE, facts=[(HOSTILE, HOSTILE)], notes=[HOSTILE], history=history)
    tab = show(document)
    allowed = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    assert tab.get_attribute("meta[http-equiv=Content-Security-Policy]", "content") == allowed
    assert tab.evaluate("document.title") == HOSTILE
    for k in range(len(document["steps"][0]["stations"])):
        tab.evaluate(f"go(0, {k})")
    tab.evaluate("go('run', 1)")
    assert tab.locator("img").count() == 1  # the picture's own
    assert tab.locator("main b:has-text('{{trace}}')").count() == 0
    assert HOSTILE.replace("\u2028", "") in tab.evaluate("byId('notes').textContent").replace("\u2028", "")
