"""The page on what pooling saves is what the program writes."""

import pytest

from cnnjax import analysis, models
from scripts import pooling_cost


def test_the_page_has_the_programs_lines():
    page = pooling_cost.PAGE.read_text()
    assert page.startswith(pooling_cost.INTRODUCTION)
    size = (64, 64, 3)
    name, fields = pooling_cost.UNET
    unet = analysis.summarize(models.create_model(name, 11, **fields), size)
    naive = analysis.summarize(models.create_model("naive_dense", 11), size)
    assert pooling_cost.cells("`unet(base=16)`", unet, unet) in page
    assert pooling_cost.cells("`naive_dense()`, equal multiply-adds", naive, unet) in page


@pytest.mark.slow
def test_the_deep_net_sees_what_the_u_net_sees():
    unet = analysis.summarize(models.create_model("unet", base=2, depth=1), (8, 8, 3))
    fields = pooling_cost.naive_forms(8, unet)["equal field"]
    naive = analysis.summarize(models.create_model("naive_dense", width=2, **fields), (8, 8, 3))
    assert naive.rows[-1].field == unet.rows[-1].field
