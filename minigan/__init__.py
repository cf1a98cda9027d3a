"""minigan: generative adversarial networks from scratch, every forward and backward pass written by hand."""

__version__ = "0.1.0"
