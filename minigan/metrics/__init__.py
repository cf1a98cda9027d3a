"""How good the samples are: the numbers that papers report, each with its protocol in the docstring."""
