"""The contract of a layer: two questions and their answers, and two more for the gradient of a gradient.

Backpropagation asks a layer how the loss changes with its input (`input_grad`) and with its parameters
(`param_grads`). A layer is those two answers beside its `forward`; everything else here is shared. A penalty on D's
gradient asks two more: how the output moves with the input (`tangent`), and how that motion changes with the
parameters and the input (`tangent_grads`).

Letters, the same in every file: x input, y output, dy and dx the loss's gradient with respect to them; W b dW db;
N batch, H W height and width, C input features (the last axis, always), K output features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from minigan import backend
from minigan.backend import Array, RandomStream
from minigan.errors import ArgumentError, DTypeError, SecondOrderError, ShapeError, UnboundLayerError
from minigan.nn.init import Initialiser
from minigan.nn.names import CheckedCall

Shape = tuple[int, ...]
Specs = dict[str, tuple[Shape, Initialiser]]
Grads = dict[str, Array]

NO_TANGENT = (
    "{} has no tangent, which a penalty on D's gradient needs: write tangent(self, dx, cache), the change of y along "
    "dx; where y is a function of each entry by itself, tangent = input_grad"
)
NO_TANGENT_GRADS = (
    "{} has no tangent_grads, which a penalty on D's gradient needs: write tangent_grads(self, dx, dy, cache, grads), "
    "the gradient of the sum of dy·tangent(dx), for the parameters and x; or say straight = True in the class, if its "
    "slope changes with nothing, but at kinks"
)


class Layer(CheckedCall):
    """One differentiable piece of a network.

    A pass changes nothing on the layer: what backward needs is returned as the cache. So several passes can be in
    flight, a cache can be printed, and backward may run twice on one cache. `Sequential` owns the parameters and
    binds them here: each by its name (`layer.W`), and their gradients in `layer.grads`.

    Shapes: x is (N, *in_shape), y is (N, *out_shape). An operation returns the dtype it was given.
    """

    #: Views of the network's gradient vector, by parameter name; each instance gets its own when a network takes it.
    grads: Grads = {}  # noqa: RUF012
    #: The interval that the outputs fill, if the layer squashes; the data must be scaled to the same one.
    out_range: ClassVar[tuple[float, float] | None] = None
    #: Input values at which the layer has no derivative (see `kink_offsets`); a gradient check keeps away from them.
    kinks: ClassVar[tuple[float, ...]] = ()
    #: Whether an example's output is meant to depend on the others of its batch at inference too, as it does in
    #: minibatch discrimination; a gradient check otherwise calls it a mistake.
    across_batch: ClassVar[bool] = False
    #: Whether in training, too, an example's output and gradients depend on no other of its batch: to such a layer two
    #: batches are the same as one of both. A class says it of its own passes; one derived from it, which may have
    #: others in their place, has to say it again.
    each_alone: ClassVar[bool] = False

    #: Whether y's derivative J with respect to x is the same for every x, but for jumps at kinks, and there are no
    #: parameters: so `tangent_grads` has nothing to answer.
    straight: ClassVar[bool] = False
    #: Whether y is linear in x and in W, but for a bias b that is added, and the cache is x: then `param_grads` answers
    #: for `tangent_grads`, too.
    bilinear: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.each_alone = vars(cls).get("each_alone", False)

    def __init__(self) -> None:
        """A layer without settings, unless it says otherwise."""

    # What a layer must or may define ---------------------------------------------------------------------------------

    def forward(self, x: Array, *, train: bool, rng: RandomStream | None = None) -> tuple[Array, Any]:
        """The output y and the cache that backward needs. `train` selects the training-time behaviour."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def input_grad(self, dy: Array, cache: Any) -> Array:
        """dx, the loss's gradient with respect to x, from dy, its gradient with respect to y."""
        raise NotImplementedError(f"{type(self).__name__} has no input_grad")

    def param_grads(self, dy: Array, cache: Any, grads: Grads) -> None:
        """Write (never add) the loss's gradient with respect to each parameter into `grads[name]`."""

    def tangent(self, dx: Array, cache: Any, /) -> Array:
        """dy = J dx: how the output moves when the input moves along dx from the x of the pass. Linear in dx.

        J (the Jacobian) is the matrix of y's derivatives with respect to x, and `input_grad` the product with the same
        matrix turned over, Jᵀ dy: so ⟨dy, J dx⟩ = ⟨Jᵀ dy, dx⟩ for all dx and dy.
        """
        raise SecondOrderError(NO_TANGENT.format(type(self).__name__))

    def tangent_grads(self, dx: Array, dy: Array, cache: Any, grads: Grads) -> Array | None:
        """The gradient of the number ⟨dy, tangent(dx)⟩, with dx and dy held fixed.

        Write (never add) that with respect to each parameter into `grads[name]`, and return that with respect to x, the
        curvature; None if there is none.
        """
        if self.straight:
            return None
        if not self.bilinear:
            raise SecondOrderError(NO_TANGENT_GRADS.format(type(self).__name__))
        self.param_grads(dy, dx, grads)
        if "b" in grads:  # which moves y, and not how y moves
            grads["b"][...] = 0
        return None

    def cache_of(self, cache: Any, examples: slice) -> Any:
        """The cache of some examples of the batch; a straight layer may say so, and then halves can share products."""
        if self.bilinear:
            return cache[examples]
        raise NotImplementedError(f"{type(self).__name__} has no cache_of")

    def out_shape(self, in_shape: Shape) -> Shape:
        """The output's shape without the batch axis; raises ShapeError if the input does not fit."""
        return in_shape

    def params(self, in_shape: Shape) -> Specs:
        """{name: (shape, initialiser)} of the trainable parameters for this input shape."""
        return {}

    def buffers(self, in_shape: Shape) -> Specs:
        """{name: (shape, initialiser)} of what is kept and saved but not trained."""
        return {}

    def least_batch(self, in_shape: Shape) -> int:
        """The fewest examples of a batch that the layer learns from: more than 1 if it compares them in training."""
        return 1

    def update_buffers(self, cache: Any) -> None:
        """Fold the statistics of one training pass into the buffers."""

    def kink_offsets(self, x: Array) -> list[Array]:
        """How far the input is from where the layer has no derivative: 0 there, of two signs if it has two sides."""
        return [x - kink for kink in self.kinks]

    # What is written once --------------------------------------------------------------------------------------------

    def backward(
        self,
        dy: Array,
        cache: Any,
        *,
        need_param_grads: bool = True,
        need_input_grad: bool = True,
        accumulate: bool = False,
        grads: Grads | None = None,
    ) -> Array | None:
        """Ask the two questions, but only those whose answer is wanted; returns dx, or None if not needed.

        The parameters' gradients are written into (added to, if `accumulate`) the network's, or the arrays `grads`, one
        for each parameter by its name. Raises ArgumentError, ShapeError, DTypeError or DeviceError if they are not like
        the network's. A layer whose answers share expensive work still gives both, and overrides this to take the work
        once for both.
        """
        if need_param_grads and (self.grads or grads):
            self.write_grads(lambda views: self.param_grads(dy, cache, views), accumulate=accumulate, grads=grads)
        return self.input_grad(dy, cache) if need_input_grad else None

    def write_grads(self, write: Callable[[Grads], None], *, accumulate: bool, grads: Grads | None = None) -> None:
        """Let `write` fill the gradients in place or, to accumulate, fill scratch arrays that are then added.

        `grads`, where they are given, in place of the network's, like which they must be.
        """
        if grads is None:
            grads = self.grads
        elif not isinstance(grads, dict):
            raise ArgumentError(f"grads of a layer must be a dict of arrays by name, got a {type(grads).__name__}")
        elif odd := sorted(map(str, grads.keys() ^ self.grads.keys())):
            raise ArgumentError(
                f"these names are in only one of grads and the parameters of {self!r}: {', '.join(odd)}"
            )
        else:
            for name, grad in grads.items():
                check_grads_like(f"grads[{name!r}]", grad, self.grads[name])
        if not accumulate:
            write(grads)
            return
        scratch = {name: backend.array_module(grad).empty_like(grad) for name, grad in grads.items()}
        write(scratch)
        for name, grad in grads.items():
            grad += scratch[name]

    if not TYPE_CHECKING:  # which would then let every misspelt name pass

        def __getattr__(self, name: str) -> Any:
            """Python asks here for what a layer does not have: its weights, if no network has given it any."""
            kind = type(self)
            has_weights = kind.params is not Layer.params or kind.buffers is not Layer.buffers
            bound = "grads" in vars(self)
            if has_weights and not bound and not name.startswith("_"):  # copy looks for names with a _
                raise UnboundLayerError(
                    f"this {kind.__name__} is in no network and has no {name!r}: weights come with the network, as in "
                    f"net = Sequential([{kind.__name__}(…)], in_shape=…, rng=…)"
                )
            return object.__getattribute__(self, name)  # raises Python's own error

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if isinstance(v, (int, float, tuple, str)))
        return f"{type(self).__name__}({options})"


def per_example(scale: Array, like: Array) -> Array:
    """(N,) as (N, 1, …), to be multiplied with an array (N, …)."""
    return scale.reshape(-1, *[1] * (like.ndim - 1))


def check_grads_like(name: str, array: Array, own: Array) -> None:
    """Raise ShapeError, DTypeError, DeviceError or ArgumentError unless gradients can be written here as into `own`."""
    backend.array_module(**{name: array, "the network's gradient": own})
    like = "make it with empty_like or zeros_like of the network's"
    if backend.is_number(array):  # which goes with arrays of any library
        raise DTypeError(f"{name} is {array!r}, not an array; {like}")
    if array.shape != own.shape:
        raise ShapeError(f"{name} has shape {array.shape} and the network's gradient there {own.shape}; {like}")
    if array.dtype != own.dtype:
        raise DTypeError(f"{name} is {array.dtype} and the network computes in {own.dtype}; {like}")
    if not getattr(array.flags, "writeable", True):  # CuPy's flags have no such word
        raise ArgumentError(f"{name} is read-only; {like}")
    if not array.flags.c_contiguous:  # reshaped for a product it would be a copy, and what is written there lost
        raise ArgumentError(f"{name} has strides {array.strides}, and must lie in memory without gaps; {like}")
