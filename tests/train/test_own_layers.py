"""Mistakes in somebody's own layers end in one line that names the layer, before anything is made on the disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rightlayers import RIGHT as RIGHT_LAYERS

from minigan.cli.main import main as minigan_main
from minigan.gradcheck.purity import strange_points
from minigan.recipes import RECIPES
from minigan.recipes.own import check_specs
from minigan.train import rehearsal

pytestmark = pytest.mark.usefixtures("elsewhere", "own_recipes")

HEAD = """
from dataclasses import dataclass
import numpy as np
from minigan.nn import BatchNorm, Dense, Layer, Sigmoid, Tanh
from minigan.nn.init import zeros
from minigan.recipes import Recipe

@dataclass(frozen=True)
class Small(Recipe):
    name = "small"
    image_shape = (784,)
    epochs: int = 1
    batch_size: int = 8
    latent_dim: int = 4
    g_hidden: tuple[int, ...] = (4,)
    d_hidden: tuple[int, ...] = (4,)
    images: int = 24

class Scale(Layer):
    def params(self, in_shape): return {"s": (in_shape, zeros)}
    def forward(self, x, *, train, rng=None): return x * (1 + self.s), x
    def input_grad(self, dy, cache): return dy * (1 + self.s)
    def param_grads(self, dy, cache, grads): grads["s"][...] = (dy * cache).sum(axis=0)
"""
TWO_LISTS = "    def layers(self): return [Dense(4), Own(), Dense(784), Tanh()], [Dense(4), *self.answer(Dense(1))]\n"
LAYER = HEAD + "class Own(Scale):\n    HERE\nclass Mine(Small):\n" + TWO_LISTS
RECIPE = HEAD + "ONCE = Dense(784)\nclass Mine(Small):\n    HERE\n"
WHO = "layer 1 of G (Own)"
LINE = len(HEAD.splitlines()) + 2  # of a layer's own method

BUFFER = "def buffers(self, in_shape): return {'n': (in_shape, zeros)}\n"

LAYERS = {  # a layer's method: what is said of it
    "forward = Layer.forward": f"{WHO} raised NotImplementedError: Own has no forward",
    "input_grad = Layer.input_grad": f"{WHO} raised NotImplementedError: Own has no input_grad",
    "param_grads = Layer.param_grads": f"{WHO}: backward must write every entry of the gradient of s",
    "def forward(self, x): return x, x": f"{WHO}: Own.forward must take train and rng by name; it takes x",
    "def forward(self, x, *, train, rng=None): return x": f"{WHO}: Own.forward must return (y, cache), and it returned",
    "def forward(self, x, *, train, rng=None): return x[:, :3], x": f"{WHO}: y has shape (8, 3) with train=False where "
    "out_shape says (N, *(4,))",
    "def forward(self, x, *, train, rng=None): return x * np.float64(2), x": f"{WHO}: float64 out of a float32 network",
    "def forward(self, x, *, train, rng=None): return x[:1], x": f"{WHO}: Own.forward must keep the batch",
    "def forward(self, x, *, train, rng=None): return 1 / 0": f"{WHO} raised ZeroDivisionError: division by zero "
    f"(mine.py, line {LINE})",
    "def forward(self, x, *, train, rng=None): return (x if train else 1 / 0), x": f"{WHO} raised ZeroDivisionError: "
    f"division by zero (mine.py, line {LINE})",
    "def forward(self, x, *, train, rng=None): return (x if train else x[:, :1]), x": f"{WHO}: y has shape "
    "(8, 1) with train=False",
    "def input_grad(self, dy, cache): return dy[:, :3]": f"{WHO}: dx has shape (8, 3) where x has (8, 4)",
    "def input_grad(self, dy, cache): return None": f"{WHO}: Own.input_grad must return dx, and it returned nothing",
    "def input_grad(self, dy, cache): return 1 / 0": f"{WHO} raised ZeroDivisionError: division by zero "
    f"(mine.py, line {LINE})",
    "def input_grad(self, dy): return dy": f"{WHO} raised TypeError: Own.input_grad() takes 2 positional arguments",
    "def param_grads(self, dy, cache, grads): grads['s'] = dy.sum(axis=0)": f'{WHO}: grads["s"] = … replaces the entry',
    "def param_grads(self, dy, cache, grads): grads['s'][...] = dy[:, :3].sum(axis=0)": f"{WHO} raised ValueError",
    "def params(self, in_shape): return {'s': (in_shape, 0.0)}": f"{WHO}: params must give (shape, initialiser) for s",
    "def buffers(self, in_shape): return {'n': (in_shape, 1)}": f"{WHO}: buffers must give (shape, initialiser) for n",
    "def least_batch(self, in_shape): return 1 / 0": f"{WHO} raised ZeroDivisionError: division by zero "
    f"(mine.py, line {LINE})",
    BUFFER + "    def update_buffers(self, cache): 1 / 0": f"{WHO} raised ZeroDivisionError: division by zero "
    f"(mine.py, line {LINE + 1})",
    "each_alone = True\n    def forward(self, x, *, train, rng=None): return x - x.mean(axis=0), x": f"{WHO}: says "
    "each_alone = True, but in training the output of some examples changes when the others of their batch are",
    "each_alone = across_batch = True": "says each_alone = True, and across_batch = True, too",
    "def out_shape(self, in_shape): return 1 / 0": f"{WHO} raised ZeroDivisionError: division by zero "
    f"(mine.py, line {LINE})",
    "def out_shape(self, in_shape): return 4": f"{WHO}: out_shape must return a tuple, such as (4,), got 4",
    "def out_shape(self): return (4,)": f"{WHO} raised TypeError: Own.out_shape() takes 1 positional argument",
    "def params(self, in_shape): return {'s': in_shape}": f"{WHO}: params must give (shape, initialiser) for s",
    "def params(self, in_shape): return ['s']": f"{WHO} raised AttributeError: 'list' object has no attribute 'items'",
    "def params(self, in_shape): return {'s': (in_shape, lambda: 0)}": f"{WHO} raised TypeError: ",
    "def params(self, in_shape): return {'s': (in_shape, lambda *_: np.zeros(3))}": f"{WHO} raised ValueError: ",
    "def forward(self, x, *, train, rng=None): x *= 1; x += 1; return x + self.s, x": f"{WHO}: a pass in float32 "
    "changes x",
    "def param_grads(self, dy, cache, grads): grads['s'] += (dy * cache).sum(axis=0)": f"{WHO}: backward must write",
    "__repr__ = lambda self: 1 / 0": f"{WHO} raised ZeroDivisionError",
    "__repr__ = object.__repr__": f"{WHO}: it is <",
}
STEP = "def layers(self): return [Dense(784), Tanh()], self.answer(Dense(1))\n    loss = property(lambda self: Own())\n"
STEP += "from minigan.gan import GANLoss\nclass Own(GANLoss):\n"
RECIPES_OF_ONES_OWN = {
    STEP
    + "    def for_discriminator(self, real, fake): 1 / 0": "a step of Mine raised ZeroDivisionError: division by zero "
    "(mine.py, line",
    STEP + "    def for_generator(self, fake): return 0, fake[0]": "a step of Mine: dy has shape "
    "(1,), but the output of this pass had (8, 1)",
    "value_range = 3\n    def layers(self): return [Dense(784), Tanh()], self.answer(Dense(1))": "a step of Mine "
    "raised TypeError",
    "MORE = []\n    def layers(self):\n        self.MORE.append(Tanh())\n"
    "        return [Dense(784), *self.MORE], self.answer(Dense(1))": "Mine.layers() gives G 2 layers at "
    "first, and then 3",
    "def layers(self): return [ONCE, Tanh()], self.answer(Dense(1))": "Mine.layers() gives the same layer 0 of G "
    "(Dense) each time, so that a run could not be resumed: make new layers within layers()",
    "def layers(self): return [Dense(784), Tanh], self.answer(Dense(1))": "layer 1 of G of Mine is the class Tanh",
    "def layers(self): return [Dense(784), Tanh()], ['Dense', Dense(1)]": "layer 0 of D of Mine is 'Dense': no layer",
    "def layers(self): return [Dense(784), Tanh()], [Dense(1)]": "but the loss takes its output for a probability: let "
    "the layers of D end in *self.answer(Dense(1))",
    "def layers(self): return [Dense(784), Sigmoid()], self.answer(Dense(1))": "whose outputs fill (0.0, 1.0), but the "
    "images are scaled to (-1.0, 1.0)",
    "def layers(self): return [Dense(784), Tanh()], [Scale(), Tanh(), Dense(1), Own()]\n"
    "class Own(Sigmoid):\n    def input_grad(self, dy, cache): 1 / 0": "layer 3 of D (Own) raised ZeroDivisionError",
}
ALL = {LAYER.replace("HERE", code): said for code, said in LAYERS.items()}
ALL |= {RECIPE.replace("HERE", code): said for code, said in RECIPES_OF_ONES_OWN.items()}
CODES = [*LAYERS, *RECIPES_OF_ONES_OWN]


def train(text, *flags, command="train"):
    Path("mine.py").write_text(text)
    minigan_main([command, "--recipe", "mine.py:Mine", *flags])


@pytest.mark.parametrize("text", ALL, ids=CODES)
def test_a_mistake_in_ones_own_layer_is_one_line_that_names_it_before_anything_is_made(text, capsys):
    with pytest.raises(SystemExit) as stop:
        train(text, "--dataset", "nowhere", "--device", "cpu", "--out", "run")  # of whose images nobody gets to hear
    said = capsys.readouterr()
    assert (stop.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("minigan: ")
    assert ALL[text] in said.err
    assert [path.name for path in Path().iterdir() if path.name != "__pycache__"] == ["mine.py"]


def test_bench_tells_it_too(capsys):
    with pytest.raises(SystemExit):
        train(LAYER.replace("HERE", "forward = Layer.forward"), "--steps", "1", command="bench")
    assert WHO in capsys.readouterr().err


RIGHT = {  # what trains, and is not to be refused
    "plain": LAYER.replace("HERE", "pass"),
    "compares the batch": LAYER.replace("HERE", "pass").replace("Own(), Dense", "BatchNorm(), Own(), Dense"),
    "needs four and says nothing": LAYER.replace(
        "HERE",
        "def forward(self, x, *, train, rng=None): return x.reshape(-1, 4, 4).reshape(x.shape) * (1 + self.s) "
        "if len(x) % 4 == 0 or not train else 1 / 0, x",
    ),
    "without weights, once for all": RECIPE.replace(
        "HERE", "TANH = Tanh()\n    def layers(self): return [Dense(784), self.TANH], self.answer(Dense(1))"
    ),
    "draws in backward": LAYER.replace(
        "HERE",
        "def param_grads(self, dy, cache, grads): grads['s'][...] = np.random.default_rng().random(cache.shape[1:])",
    ),
    "warns": LAYER.replace(
        "HERE", "def forward(self, x, *, train, rng=None): return x * (1 + self.s) + 0 * np.sqrt(x) ** 0, x"
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_trains_is_not_refused(case):
    train(RIGHT[case], "--dataset", "glyphs", "--device", "cpu", "--out", "run", "--images", "24")
    assert Path("run/checkpoints/epoch-0001.safetensors").exists()


@pytest.mark.parametrize("name", RECIPES)
def test_the_rehearsal_finds_nothing_in_a_published_system(name, monkeypatch):
    monkeypatch.setattr(rehearsal, "is_own", lambda recipe: True)
    rehearsal.rehearse(RECIPES[name].smoke())


def test_a_published_system_is_not_rehearsed_before_each_run(monkeypatch):
    monkeypatch.setattr(rehearsal, "play", lambda *args: pytest.fail("it was"))
    rehearsal.rehearse(RECIPES["quick-mlp"].smoke())


def test_packed_images_are_rehearsed_in_groups(monkeypatch):
    monkeypatch.setattr(rehearsal, "is_own", lambda recipe: True)
    seen = []
    monkeypatch.setattr(rehearsal, "pack", lambda x, m: seen.append(len(x)) or np.zeros((len(x) // m, 784 * m), "f4"))
    rehearsal.rehearse(replace(RECIPES["quick-mlp"].smoke(), packing=4))
    assert seen == [8]


@pytest.mark.parametrize("name", RIGHT_LAYERS)
def test_a_right_layer_as_other_people_write_it_is_not_refused(name):
    make, shape = RIGHT_LAYERS[name]
    layer = make()
    check_specs(layer, shape)
    with strange_points():
        y, out_shape = rehearsal.try_layer(
            layer, np.random.default_rng(0).standard_normal((10, *shape)).astype("f4"), shape
        )
    assert y.shape == (10, *out_shape)
