"""The comparison of ensembles: what is trained, and the page that is written."""

from pathlib import Path

import pytest

from cnnjax import inference, recipes
from experiments import ensembles
from tests.helpers.fixtures import standard_promotion  # noqa: F401


@pytest.mark.parametrize("scale", ensembles.SCALES)
def test_the_networks_differ_in_their_seed_alone(scale):
    first, second = (ensembles.network_config(scale, seed).to_dict() for seed in (0, 1))
    assert {name for name in first if first[name] != second[name]} == {"seed"}
    for config in (
        ensembles.constant_config(scale, Path("runs/seed0")),
        ensembles.fractal_config(scale),
    ):
        assert recipes.parse_config(config).model.name


def test_a_comparison_is_a_table():
    def figures(name, error):
        return inference.MemberFigures(name, error, 1.5, 0.02)

    sizes = (
        inference.SizeFigures(1, 2, 0.5, 0.4, 0.6, 1.5, 0.02),
        inference.SizeFigures(2, 1, 0.25, 0.25, 0.25, 1.25, 0.01),
    )
    joined = (figures("mean of probabilities", 0.25), figures("mean of logits", 0.125))
    members = (figures("a", 0.4), figures("b", 0.6))
    found = inference.Diversity(members, joined, sizes, 0.5, 0.125, 0.75, 0.1)
    text = ensembles.table(found, {"other": figures("c", 0.0625)})
    assert text.splitlines()[2:6] == [
        "| 1 | 2 | 50.00% | 40.00% to 60.00% | 1.5000 | 2.00% |",
        "| 2 | 1 | 25.00% | 25.00% to 25.00% | 1.2500 | 1.00% |",
        "| all, mean of logits | | 12.50% | | 1.5000 | 2.00% |",
        "| other | | 6.25% | | 1.5000 | 2.00% |",
    ]
    assert "the same wrong class on 75.00% of these" in text


@pytest.mark.slow
def test_the_digits_are_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ensembles, "SEEDS", 2)
    monkeypatch.setattr(ensembles, "FURTHER_EPOCHS", 2)
    whole = ensembles.network_config

    def shorter(scale, seed):
        config = whole(scale, seed)
        config.epochs = 3
        return config

    monkeypatch.setattr(ensembles, "network_config", shorter)
    assert ensembles.main([f"--workdir={tmp_path}"]) == 0
    page = (tmp_path / "results.md").read_text()
    assert page.count("\n## ") == 3
    assert "whole network, statistics renewed" in page
    assert "<svg" in (tmp_path / "ensembles.svg").read_text()
    # What is finished is read again, not trained.
    assert ensembles.main([f"--workdir={tmp_path}"]) == 0
    assert capsys.readouterr().out.count("# Ensembles") == 2


def test_a_wrong_folder_ends_with_a_message(tmp_path, capsys):
    file = tmp_path / "a"
    file.write_text("")
    assert ensembles.main([f"--workdir={file}"]) == 1
    assert str(file) in capsys.readouterr().err
