"""The checks of the exercises, one module for each family. `minigan.exercises.verify` runs them."""
