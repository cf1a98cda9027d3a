"""A batch that does not fit into the memory: what is said, and that it is true."""

import pytest

from minigan.cli.main import main
from minigan.data.glyphs import make_glyphs
from minigan.errors import OutOfMemoryError
from minigan.recipes import RECIPES
from minigan.train import Trainer
from minigan.train.fitting_batch import fitting_batch, fitting_into_memory


def small_memory(monkeypatch, most):
    """From now on D can see so many images at once."""
    real = Trainer.play

    def play(self, x, *args, **options):
        if len(x) > most:
            raise MemoryError(f"Out of memory allocating {len(x) * 3136:,} bytes")
        return real(self, x, *args, **options)

    monkeypatch.setattr(Trainer, "play", play)


@pytest.mark.parametrize(("most", "packing", "fits"), [(31, 1, 16), (16, 1, 16), (5, 1, 4), (1, 1, None), (23, 4, 16)])
def test_the_batch_that_would_fit_is_found_by_trying(monkeypatch, most, packing, fits):
    recipe = RECIPES["quick-mlp"].smoke()
    trainer = Trainer(type(recipe)(**{**vars(recipe), "packing": packing, "drop_last": True}), make_glyphs(200)[0])
    small_memory(monkeypatch, most)
    assert fitting_batch(trainer) == fits


def test_a_memory_error_of_the_gpu_names_both_numbers_and_the_command(monkeypatch, standin):
    trainer = Trainer(RECIPES["flux-mlp"].smoke(), make_glyphs(200)[0], device="gpu")
    freed = []
    standin.get_default_memory_pool = lambda: type("Pool", (), {"free_all_blocks": lambda self: freed.append(1)})()
    small_memory(monkeypatch, 10)
    told = (
        r"a step with 32 images does not fit into the memory of the GPU \(Out of memory allocating 100,352 bytes\); "
        "8 do: minigan train flux-mlp --batch-size 8"
    )
    with pytest.raises(OutOfMemoryError, match=told), fitting_into_memory(trainer):
        trainer.fit()
    assert freed


@pytest.mark.usefixtures("elsewhere")
def test_a_run_that_does_not_fit_ends_in_one_line_and_exit_code_2(monkeypatch, capsys):
    small_memory(monkeypatch, 10)
    with pytest.raises(SystemExit) as stop:
        main(["train", "pytorch-mlp", "--smoke", "--dataset", "glyphs"])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "8 do: minigan train pytorch-mlp --batch-size 8" in err
