"""Layers of the coordinate stages against recorded numbers and plain forms."""

from __future__ import annotations

import torch
from torch import nn

from tests.recorded import close, golden
from workbench.components.coords.layers import PersonNorm, SinePosition


def test_sine_encoding_is_the_recorded_one() -> None:
    ref = golden("pieces/spe")
    spe = SinePosition(128)
    close(spe.dim_t, ref["dcc_dim_t"], 1e-6)
    close(spe(ref["dcc_position"]), ref["dcc_encoding"])


def test_gradients_of_the_sine_product_are_those_of_its_plain_form() -> None:
    spe = SinePosition(12).double()
    query = torch.randn(3, 5, 12, dtype=torch.double, requires_grad=True)
    position = (100 * torch.randn(3, 7, dtype=torch.double)).requires_grad_()
    product = spe.product(query, position)
    plain = query @ spe(position).transpose(1, 2)
    torch.testing.assert_close(product, plain)
    factor = torch.randn_like(plain)
    ours = torch.autograd.grad(product, (query, position), factor)
    torch.testing.assert_close(ours, torch.autograd.grad(plain, (query, position), factor))
    assert torch.autograd.gradcheck(spe.product, (query, position))


def test_norm_over_persons_uses_running_statistics_for_one_person_only() -> None:
    ours, plain = PersonNorm(4).train(), nn.BatchNorm1d(4).train()
    x = torch.randn(7, 4)
    torch.testing.assert_close(ours(x), plain(x))
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    one = ours(x[:1])
    assert all(torch.equal(v, before[k]) for k, v in ours.state_dict().items())
    torch.testing.assert_close(one, plain.eval()(x[:1]))
