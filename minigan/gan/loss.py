"""What the two players compare: cross-entropies, hinges or plain means, of probabilities or logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minigan.backend import Array
from minigan.errors import ArgumentError, check_choice, number
from minigan.losses import binary_cross_entropy, binary_cross_entropy_with_logits, hinge, signed_mean
from minigan.nn.activations import sigmoid


@dataclass(frozen=True)
class GANLoss:
    """What the two players compare. BCE below is the mean over a batch; (real, fake) are the `labels`.

    `kind="bce"`:

    D minimises BCE(D(x), real) + BCE(D(G(z)), fake), the sum of two means (one mean over both, where real and fake are
    one batch, is made of them: `feeding.mean_over_both`).
    G minimises BCE(D(G(z)), real) ("non_saturating"), or -BCE(D(G(z)), fake) ("minimax": the opposite of D's own term,
    whose gradient vanishes as D becomes sure).

    `kind="hinge"`, of logits: D minimises mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))), so that it learns nothing
    more from what it is sure of; G minimises -mean D(G(z)).
    Source: Lim & Ye, "Geometric GAN", 2017; Miyato et al., "Spectral normalization for GANs", 2018.

    `kind="wasserstein"`, of what D (a critic) says, any numbers: D minimises mean D(G(z)) - mean D(x), G -mean D(G(z)).
    Only of a D that is not too steep is that a distance of the two distributions: it needs a penalty (`Penalty`).
    Source: Arjovsky, Chintala & Bottou, "Wasserstein generative adversarial networks", ICML 2017.

    `output`: whether D ends in a "probability" (a sigmoid) or a "logit".
    Raises ArgumentError for labels outside [0, 1] or equal, or an unknown word.
    """

    generator: Literal["non_saturating", "minimax"] = "non_saturating"
    output: Literal["probability", "logit"] = "probability"
    labels: tuple[float, float] = (1.0, 0.0)
    kind: Literal["bce", "hinge", "wasserstein"] = "bce"

    def __post_init__(self) -> None:
        check_choice("GANLoss generator", self.generator, ("non_saturating", "minimax"))
        check_choice("GANLoss kind", self.kind, ("bce", "hinge", "wasserstein"))
        check_choice("GANLoss output", self.output, ("probability", "logit"))
        labels = self.labels if isinstance(self.labels, (tuple, list)) else ()
        needs = "the labels (real, fake) must be two different numbers in [0, 1]"
        object.__setattr__(self, "labels", tuple(number(label, needs) for label in labels))
        if len(self.labels) != 2 or len(set(self.labels)) != 2 or not all(0 <= t <= 1 for t in self.labels):
            raise ArgumentError(f"{needs}, got {labels}")
        if self.kind != "bce" and (self.output, self.generator, self.labels) != (
            "logit",
            "non_saturating",
            (1, 0),
        ):
            raise ArgumentError(
                f"the {self.kind} loss compares logits without labels, got output {self.output!r}, generator "
                f"{self.generator!r} and labels {self.labels}; it needs 'logit', 'non_saturating' and (1.0, 0.0) "
                "(--d-output, --g-loss, --labels)"
            )

    def bce(self, out: Array, label: float) -> tuple[Array, Array]:
        """The cross-entropy of D's outputs, of whichever kind, against one label: (value, gradient)."""
        return (binary_cross_entropy if self.output == "probability" else binary_cross_entropy_with_logits)(out, label)

    def for_discriminator(self, out_real: Array, out_fake: Array) -> tuple[tuple[Array, Array, Array], Array, Array]:
        """(loss, its real part, its fake part), and the gradients with respect to D's outputs on real and on fake."""
        if self.kind == "hinge":
            loss_real, d_real = hinge(out_real, 1)
            loss_fake, d_fake = hinge(out_fake, -1)
        elif self.kind == "wasserstein":
            (loss_real, d_real), (loss_fake, d_fake) = signed_mean(out_real, -1), signed_mean(out_fake, 1)
        else:
            loss_real, d_real = self.bce(out_real, self.labels[0])
            loss_fake, d_fake = self.bce(out_fake, self.labels[1])
        return (loss_real + loss_fake, loss_real, loss_fake), d_real, d_fake

    def for_generator(self, out_fake: Array) -> tuple[Array, Array]:
        """G's loss and its gradient with respect to D's output on the fakes."""
        if self.kind != "bce":
            return signed_mean(out_fake, -1)
        if self.generator == "non_saturating":
            return self.bce(out_fake, self.labels[0])
        loss, d_fake = self.bce(out_fake, self.labels[1])
        return -loss, -d_fake

    def probability(self, out: Array) -> Array:
        """D's probability of *real*, whatever its output and the label convention."""
        p = out if self.output == "probability" else sigmoid(out)
        return p if self.labels[0] > self.labels[1] else 1 - p
