"""What a step that is not plain becomes, in the words of the code around it."""

from __future__ import annotations

import optmap

SCALED = """\
import torch
from apex import amp

def run(model, criterion, loader, total):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        prediction = model(x)
        loss = criterion(prediction, y)
        with amp.scale_loss(loss, optimizer) as scaled_loss:
            scaled_loss.backward()
        optimizer.step()
        print(total)
"""


def shown(text: str) -> str:
    said = optmap.translate_source(text, to="mindspore").diagnostics
    return next(item.message for item in said if item.code.id == "OM401")


def test_the_loss_that_apex_scales_is_the_loss() -> None:
    assert "def forward_fn(x, y): prediction = model(x); loss = criterion(prediction, y); return loss`" in shown(SCALED)


def test_what_sums_gradients_up_takes_no_name_of_the_file() -> None:
    assert "`summed_grads = None`" in shown(SCALED)
    assert "`total = None`" in shown(SCALED.replace("total", "amount"))


ADVERSARIAL = """\
import torch

netD = Discriminator()
netG = Generator()
optimizerD = torch.optim.Adam(netD.parameters(), lr=1e-3)
optimizerG = torch.optim.Adam(netG.parameters(), lr=1e-3)
for real in loader:
    netD.zero_grad()
    output = netD(real)
    errD_real = criterion(output, ones)
    errD_real.backward()
    fake = netG(torch.randn(4, 3))
    output = netD(fake.detach())
    errD_fake = criterion(output, zeros)
    errD_fake.backward()
    optimizerD.step()
    netG.zero_grad()
    errG = criterion(netD(fake), ones)
    errG.backward()
    optimizerG.step()
"""


def test_backward_passes_that_add_up_become_one_sum() -> None:
    said = optmap.translate_source(ADVERSARIAL, to="mindspore").diagnostics
    first, second = (item.message for item in said if item.code.id == "OM401")
    assert "errD_real = criterion(output, ones); " in first
    assert "backward" not in first.partition("and in its place")[0]
    assert "return errD_real + errD_fake, " in first
    assert "return errG" in second
    assert "errD" not in second.partition("and in its place")[0]


ALTERNATING = """\
import torch

G = Generator()
D = Discriminator()
opt_g = torch.optim.Adam(G.parameters(), lr=2e-4)
opt_d = torch.optim.Adam(D.parameters(), lr=2e-4)
for x, ones, zeros in loader:
    fake = G(x)
    opt_g.zero_grad()
    g_loss = bce(D(fake), ones)
    g_loss.backward()
    opt_g.step()
    opt_d.zero_grad()
    bce(D(fake.detach()), zeros).backward()
    opt_d.step()
"""


def test_each_of_two_steps_is_shown_with_its_own_loss_and_all_that_leads_to_it() -> None:
    said = optmap.translate_source(ALTERNATING, to="tensorflow").diagnostics
    first, second = (item.message for item in said if item.code.id == "OM401")
    assert "as tape: fake = G(x); g_loss = bce(D(fake), ones)`" in first
    assert "tape.gradient(g_loss, G.trainable_variables)" in first
    assert "loss = bce(D(fake.detach()), zeros)`" in second
    assert "tape.gradient(loss, D.trainable_variables)" in second


FORWARD = '''\
import mindspore as ms
from mindspore import nn, ops

loss = nn.MSELoss()
opt = nn.SGD(net.trainable_params(), 0.1)

def forward(x, y):
    """Compute it."""
    return loss(net(x), y)

grad_fn = ms.value_and_grad(forward, None, net.trainable_params())
for x, y in data:
    value, grads = grad_fn(x, y)
    grads = ops.clip_by_global_norm(grads, 1.0)
    opt(grads)
'''


def test_a_forward_function_is_shown_without_its_docstring_and_keeps_its_names() -> None:
    said = optmap.translate_source(FORWARD, to="torch", sources=["mindspore"]).diagnostics
    (message,) = (item.message for item in said if item.code.id == "OM401")
    assert "`loss_value = loss(net(x), y)`, `loss_value.backward()`" in message
    assert "Compute" not in message
