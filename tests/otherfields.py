"""Another value for each field of a recipe, and what a recipe is tried on: small runs over few images."""

from dataclasses import replace

import numpy as np

from minigan.recipes import RECIPES

IMAGES = np.random.default_rng(0).integers(0, 256, (32, 28, 28), dtype=np.uint8)

#: Another value for each field, of two the one that the recipe does not have. A new field needs a row.
OTHERS = {
    "epochs": (2,),
    "batch_size": (10,),
    "latent_dim": (5,),
    "g_hidden": ((5,), (5, 5), (5, 5, 5)),  # of which the one that is as deep
    "d_hidden": ((5,), (5, 5), (5, 5, 5)),
    "lr_g": (3e-3,),
    "lr_d": (3e-3,),
    "beta1": (0.3,),
    "beta2": (0.7,),
    "eps": (1e-3,),
    "average": (0.2,),  # reached at G's second update: before it, the decay of all averages rises alike
    "dropout": (0.4,),
    "latents": ("normal", "uniform"),
    "g_loss": ("minimax",),
    "d_output": ("probability", "logit"),
    "d_batching": ("separate", "concat"),
    "labels": ((0.9, 0.2),),
    "loss_kind": ("hinge",),
    "penalty": ("dragan",),
    "penalty_weight": (3.0,),
    "penalty_every": (2,),
    "packing": (2,),
    "update": ("alternating", "simultaneous"),
    "d_steps": (2,),
    "d_warmup": (1,),
    "shared_fakes": (False, True),
    "d_fakes": ("match", "full"),
    "drop_last": (False, True),
    "images": (15,),
    "test_images": (False, True),
    "random_split": (False, True),
    "epoch_steps": (2,),
    "log_every": (2,),
    "init": ("torch", "glorot"),
    "init_std": (0.03,),
    "merged": (False,),
    "pieces": (2,),
    "init_g": (0.06,),
    "init_d": (0.006,),
    "init_gamma": ("ones", "glorot"),
}


def tiny(name):
    """Three or four steps: 30 images with test images, else 20, in batches of 8, the last of which is not full."""
    return replace(RECIPES[name].smoke(), images=30, batch_size=8, d_steps=1)
