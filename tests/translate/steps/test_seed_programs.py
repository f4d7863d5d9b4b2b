"""The code examples of the vendor pages, translated with --rewrite-step, train under MindSpore as they did before.

Same initial weights, same data; the losses of both sides are compared step by step.
"""

from __future__ import annotations

import numpy as np
import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.plan import Prefer
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from optmap.translate.results import FileResult
from tests.translate.programs import numbers, printed, printed_apart, trained
from tests.translate.test_seeds import TORCH_PAGE

PAGES = {name: TORCH_PAGE.format(name=name) for name in ("Adam", "AdamW", "Adamax", "SparseAdam")}
"""The Adamax page spells the class AdaMax, which torch does not have: the name is mended here, nothing else."""
PROGRAMS = {
    "own model": """
import torch
import torch.nn as nn
import torch.nn.functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 5)
        self.norm = nn.Dropout(0.0)
        self.last = nn.Sequential(nn.Tanh(), nn.Linear(5, 3, bias=False))

    def forward(self, x):
        return self.last(F.leaky_relu(self.norm(self.first(x))))

device = torch.device("cpu")
model = Net().to(device)
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
seen = []

def train_step(data, label):
    model.train()
    for _ in range(2):
        data, label = data.to(device), label.to(device)
        optimizer.zero_grad()
        output = model(data)
        seen.append(float(output.detach().sum()))
        fixed = output.detach()
        loss = criterion(output, label) + 0.1 * ((output - fixed * 0.5) ** 2).mean() + output.detach().mean()
        seen.append(loss.item())
        loss.backward()
        optimizer.step()
    return loss.detach().cpu().numpy(), output
""",
    "trainer": """
import torch
from torch import nn

class Trainer:
    def __init__(self, net):
        self.net = net
        self.criterion = nn.SmoothL1Loss()
        self.optimizer = torch.optim.Adadelta(self.net.parameters(), lr=1.0)

    def fit(self, data, label):
        state = torch.tensor([[0.5, 0.25]])
        for i in range(3):
            self.optimizer.zero_grad()
            loss = 0.0
            for scale in (1.0, 2.0):
                loss = loss + self.criterion(self.net(data * scale + state), label)
            state = state.detach() * 0.5
            loss.backward()
            self.optimizer.step()

model = nn.Linear(2, 3)
criterion = nn.SmoothL1Loss()
trainer = Trainer(model)

def train_step(data, label):
    trainer.fit(data, label)
""",
    "carried": """
import torch

model = torch.nn.Linear(2, 3)
criterion = torch.nn.MSELoss(reduction="sum")
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)

def train(model, optimizer, data, label):
    carried = label * 0.0
    for step in range(3):
        output = model(data) + carried.detach()
        carried = output * 0.3
        loss = criterion(output, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

def train_step(data, label):
    train(model, optimizer, data, label)
""",
    "modes": """
import torch
import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(2, 4)
        self.head = nn.Sequential(nn.Dropout(0.0), nn.Linear(4, 3))

    def forward(self, x):
        x = x.view(x.size(0), -1)
        return self.head(torch.tanh(self.encoder(x)))

class Trainer:
    def __init__(self, net, device="cpu"):
        self.device = torch.device(device)
        self.net = net.to(self.device)
        self.criterion = nn.MSELoss()
        self.optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        self.log = []

    def train_step(self, batch):
        self.optimizer.zero_grad(set_to_none=True)
        out = self.net(batch["x"].to(self.device, non_blocking=True))
        loss = self.criterion(out, batch["y"])
        if loss.item() > 1e6:
            raise ValueError(f"loss {loss:.3f}")
        loss.backward()
        self.optimizer.step()
        self.log.append(f"{loss:.2f} {round(loss.item(), 3)}" + "{:.1f}".format(loss))
        return loss.item(), out

    def epoch(self, data, label):
        self.net.train()
        total = 0.0
        for _ in range(2):
            loss, _ = self.train_step({"x": data, "y": label})
            total += loss * data.shape[0]
        self.evaluate(data)
        return total

    def evaluate(self, data):
        self.net.eval()
        return self.net(data).argmax(1)

model = Net()
criterion = nn.MSELoss()
trainer = Trainer(model)

def train_step(data, label):
    trainer.epoch(data, label)
""",
    "a model that trains itself": """
import torch
import torch.nn as nn
import torch.nn.functional as F

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.optimizer = torch.optim.SGD(self.layer.parameters(), lr=0.05, momentum=0.9)

    def forward(self, x):
        return self.layer(x)

    def learn(self, x, y):
        self.train()
        losses = []
        for part in (x, x * 0.5):
            losses.append(F.mse_loss(self(part), y))
        loss = torch.stack(losses).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

own = Own()
model = own.layer
criterion = nn.MSELoss()

def train_step(data, label):
    own.learn(data, label)
""",
    "two optimizers that take turns": """
import torch
import torch.nn as nn

g = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))
d = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
model = nn.Sequential(g, d)
criterion = nn.MSELoss()
adversarial = nn.BCEWithLogitsLoss()
opt_g = torch.optim.SGD(g.parameters(), lr=0.05, momentum=0.9)
opt_d = torch.optim.Adam(d.parameters(), lr=0.01, betas=(0.5, 0.999))

def train_step(data, label):
    real, false = torch.ones(8, 3), torch.zeros(8, 3)
    g.train()
    d.train()
    opt_g.zero_grad()
    fake = g(data)
    loss_g = adversarial(d(fake), real) + criterion(fake, label)
    loss_g.backward()
    opt_g.step()

    d.zero_grad()
    loss_real = adversarial(d(label), real)
    loss_real.backward()
    loss_fake = adversarial(d(fake.detach()), false)
    loss_fake.backward()
    torch.nn.utils.clip_grad_norm_(d.parameters(), 0.5)
    opt_d.step()
""",
    "gradients of several batches": """
import torch
import torch.nn as nn

model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)

def train_step(data, label):
    optimizer.zero_grad()
    for i in range(5):
        output = model(data * (i + 1))
        loss = criterion(output, label) / 2
        loss.backward()
        if (i + 1) % 2 == 0:
            for p in model.parameters():
                p.grad.data.clamp_(-0.05, 0.05)
            optimizer.step()
            optimizer.zero_grad()
""",
    "a step that a function makes": """
import torch

def make_step(model, loss_fn, optimizer):
    def step(x, y):
        model.train()
        yhat = model(x)
        loss = loss_fn(yhat, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()
    return step

model = torch.nn.Linear(2, 3)
criterion = torch.nn.L1Loss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
train_step = make_step(model, criterion, optimizer)
""",
    "guards and totals": """
import torch
import torch.nn as nn

model = nn.Linear(2, 3)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, nesterov=True, momentum=0.9)

def train_step(data, label):
    total, seen, kept = 0.0, 0, []
    for batch in [(data, label), (data * 0.5, label)]:
        x, y = batch
        out = model(x)
        loss = criterion(out, y)
        if not loss.item() < 1e6:
            continue
        kept.append(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss
        seen += out.size(0)
    return f"{total / seen:.4f} {torch.stack(kept).mean():.3f}"
""",
    "detached values that an earlier step computed": """
import numpy as np
import torch
import torch.nn as nn
from torch.autograd import Variable

cuda = True if torch.cuda.is_available() else False
Tensor = torch.cuda.FloatTensor if cuda else torch.FloatTensor
g = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))
d = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
model = nn.Sequential(g, d)
criterion = nn.MSELoss()
opt_g = torch.optim.SGD(g.parameters(), lr=0.05, momentum=0.9)
opt_d = torch.optim.SGD(d.parameters(), lr=0.05, weight_decay=0.01)

def train_step(data, label):
    for scale in (1.0, 0.5):
        source = Variable(data * scale)
        real = Variable(Tensor(np.ones((source.size(0), 3))), requires_grad=False)
        false = Variable(Tensor(source.size(0), 3).fill_(0.0), requires_grad=False)
        opt_g.zero_grad()
        fake = g(source)
        judged = d(fake)
        loss = criterion(judged, real) + criterion(fake, label)
        loss.backward()
        opt_g.step()

        opt_d.zero_grad()
        judged = d(label)
        loss_real = criterion(judged, real)
        judged = d(fake.detach())
        loss_false = criterion(judged, false)
        loss_d = 0.5 * (loss_real + loss_false)
        loss_d.backward()
        opt_d.step()
""",
    "targets that carry no gradients": """
import copy
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

class Memory:
    def __init__(self):
        self.kept = []

    def push(self, data):
        self.kept.append(data)

    def sample(self, n):
        x, r = [], []
        for i in range(n):
            one, two = self.kept[i]
            x.append(np.array(one, copy=False))
            r.append(np.array(two, copy=False))
        return np.array(x), np.array(r)

class Agent:
    def __init__(self):
        self.q = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))
        self.memory = Memory()
        self.optimizer = torch.optim.SGD(self.q.parameters(), lr=0.1, momentum=0.5)

    def learn(self, data, label):
        self.target = copy.deepcopy(self.q)
        for i in range(2):
            self.memory.push((np.full(2, 0.5 * i, "float32"), np.full(3, 0.25, "float32")))
        for _ in range(2):
            x, r = self.memory.sample(2)
            state = torch.FloatTensor(x)
            reward = torch.FloatTensor(r)
            with torch.no_grad():
                best = self.target(state).max(1)[0]
            later = self.target(state)
            later = reward + (0.9 * later).detach()
            value = self.q(state)
            loss = F.mse_loss(value, later) + F.smooth_l1_loss(value[:, 0], reward[:, 0] + best)
            loss = loss + F.mse_loss(self.q(data), label)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

agent = Agent()
model = agent.q
criterion = nn.MSELoss()

def train_step(data, label):
    agent.learn(data, label)
""",
    "parameters that are initialized and changed": """
import torch
import torch.nn as nn
import torch.nn.functional as F


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Linear") != -1:
        torch.nn.init.constant_(m.weight.data, 0.02)
        nn.init.zeros_(m.bias)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.0)
        m.bias.data.fill_(0.25)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 3)
        self.other = nn.Linear(3, 3)
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Conv2d)):
                nn.init.xavier_uniform_(m.weight)
                if m.bias is not None:
                    nn.init.constant_(m.bias, 0.1)
            elif isinstance(m, nn.BatchNorm1d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
        self.other.weight.data.uniform_(0.1, 0.1)
        self.other.bias.data.zero_()

    def forward(self, x):
        return self.other(self.last(F.relu(self.norm(self.first(x)))))


model = Net()
criterion = nn.MSELoss()
target = Net()
model.apply(weights_init)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

def train_step(data, label):
    for scale in (1.0, 0.5):
        optimizer.zero_grad()
        loss = F.mse_loss(model(data * scale), label)
        loss.backward()
        optimizer.step()
        for p in model.parameters():
            p.data.clamp_(-0.5, 0.5)
        for a, b in zip(target.parameters(), model.parameters()):
            a.data.copy_(0.9 * a.data + 0.1 * b.data)
        with torch.no_grad():
            for a, b in zip(target.parameters(), model.parameters()):
                a.mul_(0.9).add_(b, alpha=0.1)
        model.last.bias.data.copy_(target.last.bias.data)
""",
}
"""Programs in the manner of the pages, with more in them."""


def translated(text: str, tables: MappingSet, prefer: Prefer = Prefer.AUTO) -> FileResult:
    sources = frozenset({Framework("torch"), Framework("tensorflow")})
    options = Options(Framework("mindspore"), sources, prefer, rewrite_step=True)
    return translate_bytes(text.encode(), tables, options)


STEPS = 25
"""Of the pages' programs."""
CALLS = 10
"""Of `train_step` of the others, which make two or three steps each."""
DOCUMENTED = "AdamW documented"
Losses = dict[str, list[float] | str]


@pytest.fixture(scope="module")
def after(tables: MappingSet) -> Losses:
    plain = {name: (translated(text, tables), STEPS) for name, text in PAGES.items()}
    others = {name: (translated(text, tables), CALLS) for name, text in PROGRAMS.items()}
    documented = {DOCUMENTED: (translated(PAGES["AdamW"], tables, Prefer.DOCUMENTED), STEPS)}
    results = {**plain, **documented, **others}
    return {name: trained("mindspore", result.output.decode(), steps) for name, (result, steps) in results.items()}


@pytest.fixture(scope="module")
def before() -> Losses:
    pages = {name: trained("torch", text, STEPS) for name, text in PAGES.items()}
    return pages | {name: trained("torch", text, CALLS) for name, text in PROGRAMS.items()}


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_other_programs_keep_their_losses(name: str, tables: MappingSet, before: Losses, after: Losses) -> None:
    codes = [item.code.id for item in translated(PROGRAMS[name], tables).diagnostics]
    assert "OM403" in codes
    assert "OM402" not in codes
    assert isinstance(before[name], list), before[name]
    assert isinstance(after[name], list), after[name]
    assert abs(np.diff(np.array(before[name]))).sum() > 1e-3
    np.testing.assert_allclose(np.array(after[name]), np.array(before[name]), rtol=1e-5, atol=2e-6)


def test_every_page_is_translated_as_a_whole(tables: MappingSet) -> None:
    for name, text in PAGES.items():
        result = translated(text, tables)
        assert "torch" not in result.output.decode(), name
        assert {item.code.id for item in result.diagnostics} <= {
            "OM101",
            "OM103",
            "OM104",
            "OM105",
            "OM110",
            "OM111",
            "OM403",
            "OM405",
            "OM411",  # what the step is given
        }


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Adamax"])
def test_torch_pages_keep_their_losses(name: str, before: Losses, after: Losses) -> None:
    assert isinstance(before[name], list), before[name]
    assert isinstance(after[name], list), after[name]
    assert len(before[name]) == STEPS
    assert abs(np.diff(np.array(before[name]))).sum() > 1e-3, "the losses must move for the comparison to say anything"
    np.testing.assert_allclose(np.array(after[name]), np.array(before[name]), rtol=2e-6, atol=1e-6)


def test_the_documented_counterpart_of_adamw_trains_otherwise(
    tables: MappingSet, before: Losses, after: Losses
) -> None:
    """What OM111 says of AdamWeightDecay is so: without the message the difference would be a surprise."""
    assert "OM111" in {item.code.id for item in translated(PAGES["AdamW"], tables, Prefer.DOCUMENTED).diagnostics}
    assert not np.allclose(np.array(after[DOCUMENTED]), np.array(before["AdamW"]), rtol=1e-3)


def test_sparse_adam(before: Losses, after: Losses) -> None:
    """The page cannot run in torch: a dense gradient is an error there. On dense gradients the rule is Adam's."""
    assert (
        before["SparseAdam"]
        == "RuntimeError: SparseAdam does not support dense gradients, please consider Adam instead"
    )
    np.testing.assert_allclose(np.array(after["SparseAdam"]), np.array(before["Adam"]), rtol=2e-6, atol=1e-6)


TENSORFLOW_PAGE = """
import tensorflow as tf
import numpy as np
input_n = 2
output_c = 2
output_channels = 2
dtype = np.float32
lr = 0.001
epoch = 100
input_np = np.array([[1, 2], [3, 4]]).astype(dtype)
weight_np = np.array([[1, 2], [3, 4]]).astype(dtype)
bias_np = np.array([0.5, 0.5]).astype(dtype)
label_np = np.array([1,0]).astype(int)
label_np_onehot = np.zeros(shape=(input_n, output_c)).astype(dtype)
label_np_onehot[np.arange(input_n), label_np] = 1.0
tf.compat.v1.disable_eager_execution()
input_tf = tf.constant(input_np, dtype=np.float32)
label = tf.constant(label_np_onehot)
net = {layer}
criterion = tf.compat.v1.losses.softmax_cross_entropy(
    onehot_labels=label,
    logits=net,
    reduction=tf.compat.v1.losses.Reduction.MEAN
)
opt = tf.compat.v1.train.AdamOptimizer(learning_rate=lr, epsilon=1e-8).minimize(criterion)
init = tf.compat.v1.global_variables_initializer()
with tf.compat.v1.Session() as ss:
    ss.run(init)
    num = epoch
    for _ in range(0, num):
        print("LOSS", criterion.eval())
        ss.run(opt)
    output = net.eval()
print("OUTPUT", *output.astype(dtype).ravel())
"""
"""The page's program, but that it prints the loss where the page only computes it."""
LAYER = """tf.compat.v1.layers.dense(
    inputs=input_tf,
    units=output_channels,
    use_bias=True,
    kernel_initializer=tf.compat.v1.constant_initializer(
        weight_np.transpose(1, 0),
        dtype=np.float32
    ),
    bias_initializer=tf.compat.v1.constant_initializer(bias_np,dtype=np.float32)
)"""
SAME_LAYER = "tf.matmul(input_tf, tf.Variable(weight_np.transpose(1, 0))) + tf.Variable(bias_np)"
"""What the layer computes: Keras 3 no longer has tf.compat.v1.layers, so that the page itself cannot run."""


def test_the_tensorflow_page_keeps_its_losses(tables: MappingSet) -> None:
    result = translated(TENSORFLOW_PAGE.format(layer=LAYER), tables)
    assert b"tensorflow" not in result.output
    assert [item.code.id for item in result.diagnostics if item.code.severity != "info"] == []
    # Without eager execution TensorFlow is another one for the rest of its process.
    ours, theirs = (
        printed("mindspore", result.output.decode()),
        printed_apart("tensorflow", TENSORFLOW_PAGE.format(layer=SAME_LAYER)),
    )
    after, before = numbers(ours), numbers(theirs)
    [output] = [np.array(line[1:], float) for line in ours if line[:1] == ["OUTPUT"]]
    [expected] = [np.array(line[1:], float) for line in theirs if line[:1] == ["OUTPUT"]]
    assert len(before) == 100
    np.testing.assert_allclose(after, before, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(output, expected, rtol=2e-6)
    # What the page prints for MindSpore; what it prints for TensorFlow, no TensorFlow of today gives.
    np.testing.assert_allclose(output, [5.8998876, 11.100113, 12.299808, 24.700195], rtol=1e-6)
