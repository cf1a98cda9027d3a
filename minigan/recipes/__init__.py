"""Recipes: published GANs, written down as data. `RECIPES[name]` is one, with its published numbers."""

from minigan.recipes.best import BEST
from minigan.recipes.flux_dcgan import FLUX_DCGAN, FLUX_DCGAN_HALF
from minigan.recipes.keras_upconv import KERAS_UPCONV
from minigan.recipes.mlp import FLUX_MLP, PYTORCH_MLP, PYTORCH_MLP_MENDED, QUICK_MLP
from minigan.recipes.penalised import R1_MLP, WGAN_GP
from minigan.recipes.recipe import Recipe
from minigan.recipes.renom_maxout import RENOM_MAXOUT

__all__ = ["DEFAULT", "RECIPES", "Recipe"]

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        BEST,
        QUICK_MLP,
        FLUX_MLP,
        PYTORCH_MLP,
        PYTORCH_MLP_MENDED,
        FLUX_DCGAN,
        FLUX_DCGAN_HALF,
        KERAS_UPCONV,
        RENOM_MAXOUT,
        WGAN_GP,
        R1_MLP,
    )
}
DEFAULT = BEST.name  # what `minigan train` trains
