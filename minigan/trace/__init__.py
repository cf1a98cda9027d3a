"""One training step with every number of it: what each layer was given, answered, kept and learned."""

from minigan.trace.game import Trace, trace_step

__all__ = ["Trace", "trace_step"]
