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
