import jax
import pytest

from scripts.soak import Usage, growth, page, soak, usage


def test_more_of_anything_is_growth():
    first = Usage(200, 400.0, 12, 20)
    assert growth(first, Usage(2000, 415.0, 11, 24)) == []
    assert growth(first, Usage(2000, 500.0, 13, 25)) == [
        "memory grew from 400 to 500 MiB",
        "files grew from 12 to 13",
        "threads grew from 20 to 25",
    ]


def test_open_files_are_counted(tmp_path):
    before = usage(0)
    with (tmp_path / "file").open("w"):
        assert usage(1).files == before.files + 1
    assert before.memory > 10 and before.threads >= 1


def test_the_page_shows_the_early_step_and_the_last():
    read = [Usage(step, 400.0 + step / 20, 12, 20) for step in range(20, 2001, 20)]
    text = page(read, "the command")
    assert "Written by `the command`" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        "| 20 | 401 | 12 | 20 |",
        "| 200 | 410 | 12 | 20 |",
        "| 1,000 | 450 | 12 | 20 |",
        "| 2,000 | 500 | 12 | 20 |",
    ]


@pytest.mark.slow
def test_a_run_does_not_use_more_as_it_goes(tmp_path):
    # optax mixes dtypes in its own arithmetic.
    with jax.numpy_dtype_promotion("standard"):
        read = soak(tmp_path / "run", 240, epoch=40)
    assert [each.step for each in read] == list(range(20, 241, 20))
    # After the profile; other tests in this process leave memory of their own.
    first = next(each for each in read if each.step == 160)
    assert growth(first, read[-1], share=0.1) == []
