"""For type checkers: the modules that `minigan.NAME` imports when it is first asked for."""

from minigan import backend as backend
from minigan import cli as cli
from minigan import data as data
from minigan import errors as errors
from minigan import exercises as exercises
from minigan import export as export
from minigan import gan as gan
from minigan import gradcheck as gradcheck
from minigan import losses as losses
from minigan import metrics as metrics
from minigan import nn as nn
from minigan import optim as optim
from minigan import plot as plot
from minigan import recipes as recipes
from minigan import runs as runs
from minigan import screen as screen
from minigan import store as store
from minigan import trace as trace
from minigan import train as train
from minigan import watch as watch

__version__: str
