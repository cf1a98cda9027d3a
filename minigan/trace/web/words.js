"use strict";
// What is said of a station: a sentence or two, and the chain rule there with the shapes that it really has.

const SAID = {
  Dense: ["Every output is a weighted sum of all inputs.", "The transposed weights carry dy back; the weights' own gradient pairs what came in with what was blamed on what went out."],
  Conv2d: ["A small kernel of weights looks at every place of the image.", "Each dy stamps the kernel back on the pixels that it looked at; a weight is blamed at every place where it looked."],
  ConvTranspose2d: ["Every input value stamps the kernel on a larger image.", "Backward is a convolution: each input collects dy from where its stamp fell."],
  UpsampleConv2d: ["Every pixel becomes a block of copies, and a kernel looks at the larger image.", "As in a convolution; what reaches copies of a pixel is added up for that pixel."],
  BatchNorm: ["Each feature is brought to mean 0 and variance 1 over the batch, then scaled by γ and shifted by β.", "The batch's mean and variance move with x, so every example's dx hears from every example's dy."],
  SpectralNorm: ["The layer within, with its weights divided by σ, the most that they can stretch.", "σ moves with the weights too: what would only make W longer is taken out of dW."],
  Maxout: ["Of each group of features only the largest goes on.", "Only the winner of each group gets the blame."],
  MaxPool2d: ["Of each window only the largest value goes on.", "Only the winner of each window gets the blame."],
  ReLU: ["What is negative becomes 0.", "dy passes where x was positive, and stops where it was not."],
  LeakyReLU: ["What is negative is made smaller by the slope.", "dy passes where x was positive, and a little of it, the slope's share, where it was not."],
  Tanh: ["Squashed between −1 and 1.", "The flatter the curve at x, the less passes: dy times 1 − y²."],
  Sigmoid: ["Squashed between 0 and 1, a probability.", "The flatter the curve at x, the less passes: dy times y(1 − y)."],
  Dropout: ["Random features are silenced, the rest made larger to keep the mean.", "The same mask: what was silenced gets no blame."],
  Flatten: ["The same numbers in a row.", "The same numbers in their old shape."],
  Reshape: ["The same numbers under another shape.", "The same numbers in their old shape."],
  Upsample2d: ["Every pixel becomes a block of copies.", "What reaches the copies is added up for the pixel."],
};

const RULES = {
  Dense: { y: ["x", "·", "W", "+", "b"], dx: ["dy", "·", "Wᵀ"], dW: ["xᵀ", "·", "dy"], db: ["Σ", "dy"] },
  Conv2d: { y: ["x", "★", "W", "+", "b"], dx: ["dy", "stamped with", "W"], dW: ["x", "★", "dy"], db: ["Σ", "dy"] },
  ConvTranspose2d: { y: ["x", "stamped with", "W", "+", "b"], dx: ["dy", "★", "W"], dW: ["dy", "★", "x"], db: ["Σ", "dy"] },
  UpsampleConv2d: { y: ["x", "enlarged ★", "W", "+", "b"], dx: ["dy", "stamped with", "W", "summed by blocks"], dW: ["x", "enlarged ★", "dy"], db: ["Σ", "dy"] },
  BatchNorm: { y: ["gamma", "· x̂ +", "beta"], dx: ["gamma", "/ s · (", "dy", "− mean dy − x̂ · mean dy x̂ )"], dgamma: ["Σ", "dy", "· x̂"], dbeta: ["Σ", "dy"] },
  SpectralNorm: { y: ["layer(", "x", ") with", "W", "/ σ"], dx: ["the layer's dx from", "dy", "with", "W", "/ σ"], dW: ["( the layer's dW̄ from", "x", "and", "dy", "− ⟨dW̄, W̄⟩ v uᵀ ) / σ"], db: ["Σ", "dy"] },
  Maxout: { y: ["the largest of each group of", "x"], dx: ["dy", "to the winner"] },
  MaxPool2d: { y: ["the largest of each window on", "x"], dx: ["dy", "to the winner"] },
  ReLU: { y: ["max(", "x", ", 0)"], dx: ["dy", "where", "x", "> 0"] },
  LeakyReLU: { y: ["x", "where x > 0, else slope · x"], dx: ["dy", "times 1 where", "x", "> 0, else slope"] },
  Tanh: { y: ["tanh(", "x", ")"], dx: ["dy", "· (1 − y²)"] },
  Sigmoid: { y: ["σ(", "x", ")"], dx: ["dy", "· y · (1 − y)"] },
  Dropout: { y: ["x", "· mask"], dx: ["dy", "· mask"] },
  Flatten: { y: ["x", "in a row"], dx: ["dy", "in x's shape"] },
  Reshape: { y: ["x", "in another shape"], dx: ["dy", "in x's shape"] },
  Upsample2d: { y: ["x", "with every pixel repeated"], dx: ["dy", "summed by blocks"] },
};

const ROMAN = { gamma: "γ", beta: "β", dgamma: "dγ", dbeta: "dβ" };
const letter = (name) => ROMAN[name] ?? name;

/** [[the answer, its shape], [[word, shape or null], …]] of each rule that holds at this layer, on this way. */
function rulesOf(layer, way) {
  const rules = layer.kind && Object.hasOwn(RULES, layer.kind) ? RULES[layer.kind] : {};
  const answers = Object.keys(rules).filter((answer) => (way === "forward") === (answer === "y"));
  return answers.filter((answer) => answered(layer, answer)).map((answer) => {
    const words = rules[answer].filter((word, i, all) => has(layer, word) && !(word === "+" && !has(layer, all[i + 1])));
    return [[letter(answer), answered(layer, answer).shape], words.map((word) => [letter(word), shapeOfWord(layer, word)])];
  });
}

const has = (layer, word) => word !== "b" || "b" in layer.params;

function shapeOfWord(layer, word) {
  const turned = word.endsWith("ᵀ"), array = optional(layer, turned ? word.slice(0, -1) : word);
  if (!array) return null;
  if (!turned) return array.shape;
  return [lastOf(array), array.size / lastOf(array)];
}

function sentenceOf(step, station) {
  const pass = step.passes[station.pass], layer = pass?.layers[station.layer];
  if (station.type === "loss") {
    return "What D said of each image is compared with what it should have said. The gradient d_out says which way each answer should have moved, and how urgently: everything backward begins here."
      + ` The loss of the step is ${numberText(step.loss.value ?? NaN)}${step.loss.penalty === null || step.loss.penalty === undefined ? "" : `, of which ${numberText(step.loss.penalty)} is the penalty`}.`;
  }
  if (station.type === "update") {
    return `The optimiser has each parameter's gradient, summed over ${step.player}'s passes, and moves the parameter: this is how far.`;
  }
  const own = layer.kind && Object.hasOwn(SAID, layer.kind) ? SAID[layer.kind][station.type === "forward" ? 0 : 1] : "";
  if (station.type === "forward") return own || "A layer of one's own; its code stands beside.";
  const asked = answered(layer, "dx") ? "" : " Nobody needs this layer's dx here.";
  return (own || "A layer of one's own, of which this page knows no formula: what it says is compared with finite differences alone.") + asked;
}
