"""Every row of mappings/steps/modules.yaml is proved by execution: the same values, types and gradients under both frameworks.

Each row has expressions. The translator writes one program with all of them, which runs before and after on random inputs of
several shapes and types, with zeros and ties. What the source framework rejects says nothing; what the target rejects is loud.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from optmap.mapping.framework import Framework
from optmap.mapping.model import MappingSet
from optmap.mapping.steps import Pair, load_table
from optmap.translate.options import Options
from optmap.translate.pipeline import translate_bytes
from tests.translate.programs import execute, framework_module

TORCH, MINDSPORE = Framework("torch"), Framework("mindspore")
LAYERS = {
    "dense": ["nn.Linear(4, 3)", "nn.Linear(in_features=4, out_features=2, bias=False)"],
    "conv2d": ["nn.Conv2d(3, 2, 3)", "nn.Conv2d(3, 4, (1, 3), stride=2, padding=1, bias=False)", "nn.Conv2d(3, 3, 2, groups=3, dilation=2)"],
    "max_pool2d": ["nn.MaxPool2d(2)", "nn.MaxPool2d((2, 1), stride=1)", "nn.MaxPool2d(3, 2)"],
    "padded_max_pool2d": ["nn.MaxPool2d(3, 2, 1)", "nn.MaxPool2d(2, padding=1)"],
    "flatten": ["nn.Flatten()", "nn.Flatten(0, 1)"],
    "dropout": ["nn.Dropout(0.0)", "nn.Dropout(p=0.0, inplace=False)"],
    "dropout2d": ["nn.Dropout2d(0.0)"],
    "embedding": ["nn.Embedding(5, 3)"],
    "lstm": ["nn.LSTM(4, 3)", "nn.LSTM(4, 2, num_layers=2, batch_first=True, bidirectional=True)"],
    "gru": ["nn.GRU(4, 3)", "nn.GRU(input_size=4, hidden_size=2, bias=False)"],
    "identity": ["nn.Identity()"],
    "avg_pool2d": ["nn.AvgPool2d(2)", "nn.AvgPool2d((2, 1), stride=1)"],
    "adaptive_avg_pool2d": ["nn.AdaptiveAvgPool2d(1)", "nn.AdaptiveAvgPool2d((2, 3))"],
    "conv_transpose2d": ["nn.ConvTranspose2d(3, 2, 4, 2, 1)", "nn.ConvTranspose2d(3, 2, 3, bias=False)"],
    "group_norm": ["nn.GroupNorm(1, 3)", "nn.GroupNorm(3, 3, eps=1e-3)"],
    "batch_norm1d": ["nn.BatchNorm1d(4)", "nn.BatchNorm1d(3, eps=1e-3, affine=False)"],
    "batch_norm2d": ["nn.BatchNorm2d(3)", "nn.BatchNorm2d(num_features=3, eps=1e-3)"],
    "relu": ["nn.ReLU()"], "relu6": ["nn.ReLU6()"], "silu": ["nn.SiLU()"], "sigmoid": ["nn.Sigmoid()"], "tanh": ["nn.Tanh()"],
    "leaky_relu": ["nn.LeakyReLU()", "nn.LeakyReLU(0.2)"], "elu": ["nn.ELU()", "nn.ELU(alpha=1.0)"], "gelu": ["nn.GELU()"],
    "softsign": ["nn.Softsign()"], "log_sigmoid": ["nn.LogSigmoid()"], "mish": ["nn.Mish()"], "hardswish": ["nn.Hardswish()"],
    "hardsigmoid": ["nn.Hardsigmoid()"], "pixel_shuffle": ["nn.PixelShuffle(1)"],
    "softmax": ["nn.Softmax(1)", "nn.Softmax(dim=-1)"], "log_softmax": ["nn.LogSoftmax(1)", "nn.LogSoftmax(dim=-1)"],
    "layer_norm": ["nn.LayerNorm(4)", "nn.LayerNorm(normalized_shape=3)"], "layer_norm_eps": ["nn.LayerNorm(4, 1e-3)", "nn.LayerNorm(3, eps=1e-6)"],
    "celu": ["nn.CELU()", "nn.CELU(alpha=0.5)"], "hardtanh": ["nn.Hardtanh()", "nn.Hardtanh(-0.5, 0.5)"],
    "upsample": ["nn.Upsample(scale_factor=2)", "nn.Upsample(scale_factor=2, mode='bilinear')", "nn.Upsample(scale_factor=3, mode='bilinear', align_corners=True)"],
    "upsample_to": ["nn.Upsample((8, 6))", "nn.Upsample(size=(5, 7), mode='bilinear', align_corners=False)"],
    "batch_norm1d_momentum": ["nn.BatchNorm1d(4, momentum=0.3)"], "batch_norm2d_momentum": ["nn.BatchNorm2d(3, 1e-3, 0.01)"],
    "prelu": ["nn.PReLU()", "nn.PReLU(3, init=0.1)"], "softplus": ["nn.Softplus()"],
    "max_pool1d": ["nn.MaxPool1d(2)", "nn.MaxPool1d(2, stride=1)"],
    "adaptive_avg_pool1d": ["nn.AdaptiveAvgPool1d(2)"], "zero_pad2d": ["nn.ZeroPad2d((1, 0, 2, 1))", "nn.ZeroPad2d(1)"], "reflection_pad2d": ["nn.ReflectionPad2d(2)"],
    "sequential": ["nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))"],
}  # fmt: skip
LOSSES = {
    "l1_loss": ["nn.L1Loss", "x, y"], "mse_loss": ["nn.MSELoss", "x, y"], "huber": ["nn.HuberLoss", "x, y"],
    "smooth_l1": ["nn.SmoothL1Loss", "x, y"], "bce_logits": ["nn.BCEWithLogitsLoss", "x, p"], "bce_loss": ["nn.BCELoss", "p, q"],
    "cross_entropy": ["nn.CrossEntropyLoss", "x, k"], "nll_loss": ["nn.NLLLoss", "x, k"],
    "f_l1_loss": ["F.l1_loss", "x, y"], "f_mse_loss": ["F.mse_loss", "x, y"], "huber_loss": ["F.huber_loss", "x, y"],
    "f_kl_div": ["F.kl_div", "F.log_softmax(x, -1), F.softmax(y, -1)"], "kl_div": ["nn.KLDivLoss", "F.log_softmax(x, -1), F.softmax(y, -1)"], "f_smooth_l1": ["F.smooth_l1_loss", "x, y"],
    "f_bce_logits": ["F.binary_cross_entropy_with_logits", "x, p"], "f_bce": ["F.binary_cross_entropy", "p, q"],
    "margin_ranking": ["nn.MarginRankingLoss", "x, y, q * 2 - 1"], "cosine_embedding": ["nn.CosineEmbeddingLoss", "x, y, q[:, 0] * 2 - 1"],  "bce_logits_weighted": ["nn.BCEWithLogitsLoss", "x, q"],
    "f_cross_entropy": ["F.cross_entropy", "x, k"], "f_nll_loss": ["F.nll_loss", "x, k"],
}  # fmt: skip
FUNCTIONS = {
    "parameter": ["nn.Parameter(torch.tensor([1.0, 2.0])) * 2", "nn.Parameter(x, requires_grad=False)"],
    "module_list": ["nn.ModuleList([nn.ReLU(), nn.Tanh()])[1](x)"],
    "f_relu": ["F.relu(x)", "F.relu(x, inplace=False)"], "f_leaky_relu": ["F.leaky_relu(x)", "F.leaky_relu(x, 0.2)"],
    "f_softmax": ["F.softmax(x, 1)", "F.softmax(x, dim=-1)"], "f_log_softmax": ["F.log_softmax(x, 1)", "F.log_softmax(x, dim=-1)"],
    "f_sigmoid": ["F.sigmoid(x)"], "f_tanh": ["F.tanh(x)"], "f_elu": ["F.elu(x)"], "f_silu": ["F.silu(x)"],
    "f_gelu": ["F.gelu(x)", "F.gelu(x, approximate='tanh')"], "f_logsigmoid": ["F.logsigmoid(x)"],
    "f_dropout": ["F.dropout(x, 0.0)", "F.dropout(x, p=0.5, training=False)"],
    "f_max_pool2d": ["F.max_pool2d(x, 2)", "F.max_pool2d(x, kernel_size=2, stride=1)"],
    "f_adaptive_avg_pool2d": ["F.adaptive_avg_pool2d(x, 1)", "F.adaptive_avg_pool2d(x, (2, 2))"],
    "f_avg_pool2d": ["F.avg_pool2d(x, 2)", "F.avg_pool2d(x, 2, stride=1)"],
    "f_interpolate": ["F.interpolate(x, scale_factor=2)", "F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=True)"],
    "f_interpolate_to": ["F.interpolate(x, size=(3, 5))", "F.interpolate(x, (8, 8), mode='bilinear')"],
    "sized_tensor": ["torch.FloatTensor(2, 3) * 0.0 if x.sum() != x.sum() else torch.FloatTensor(2, x.size(0)).fill_(0.5)"],
    "full": ["torch.full((2, 3), 0.5)", "torch.full((x.size(0),), 1.0)"], "full_like": ["torch.full_like(x, 0.5)"], "rand_like": ["torch.rand_like(x) * 0.0"],
    "randint": ["torch.randint(0, 1, (2, 3))", "torch.randint(3, 4, (x.size(0),))"], "clone_function": ["torch.clone(x) * x"],
    "t_add": ["torch.add(x, y)", "torch.add(x, 1.0)"], "t_sub": ["torch.sub(x, y)"], "t_mul": ["torch.mul(x, 0.5)"], "t_div": ["torch.div(x, p)"],
    "t_minimum": ["torch.minimum(x, y)"], "t_maximum": ["torch.maximum(x, y)"], "t_cosh": ["torch.cosh(x)"], "t_neg": ["torch.neg(x)"],
    "t_sign": ["torch.sign(x)"], "t_floor": ["torch.floor(x)"], "t_isnan": ["torch.isnan(x)"], "norm_p": ["torch.norm(x, 2)", "torch.norm(x, 1)"],
    "f_linear": ["F.linear(x, y)"], "min": ["torch.min(x)"], "min_of": ["torch.min(x, 1)[0]", "torch.min(x, dim=-1)[1]"],
    "max_of_two": ["torch.max(torch.relu(x), torch.relu(y))", "torch.max(torch.exp(x), torch.exp(x))"], "min_of_two": ["torch.min(torch.relu(x), torch.relu(y))"], "t_round": ["torch.round(x)"], "t_t": ["torch.t(x)"],
    "t_tril": ["torch.tril(x)", "torch.tril(x, diagonal=-1)"], "t_triu": ["torch.triu(x, 1)"],
    "t_std": ["torch.std(x)"], "t_std_of": ["torch.std(x, 0)", "torch.std(x, dim=1, keepdim=True)"],
    "t_var": ["torch.var(x)"], "t_var_of": ["torch.var(x, 1)", "torch.var(x, dim=0, keepdim=True)"],
    "t_chunk": ["torch.chunk(x, 2)[0]", "torch.chunk(x, 2, dim=1)[1]"], "t_split": ["torch.split(x, 2)[0]", "torch.split(x, [1, 2], dim=1)[1]"],
    "t_cumsum": ["torch.cumsum(x, 0)", "torch.cumsum(x, dim=1)"], "linspace": ["torch.linspace(0, 1, 5)"], "outer": ["torch.outer(x, y)"],
    "f_normalize": ["F.normalize(x)", "F.normalize(x, dim=-1)", "F.normalize(x * 0)"],
    "arange_typed": ["torch.arange(4, dtype=torch.float32)", "torch.arange(x.size(0), dtype=torch.long)"],
    "arange_from": ["torch.arange(1, 4)", "torch.arange(0, 6, 2)", "torch.arange(0, 4, dtype=torch.float)"],
    "mean": ["torch.mean(x)", "torch.mean(x, 1)", "torch.mean(x, dim=-1, keepdim=True)"],
    "sum": ["torch.sum(x)", "torch.sum(x, 1)", "torch.sum(x, dim=-1, keepdim=True)"],
    "max": ["torch.max(x)"], "max_of": ["torch.max(x, 1)[0]", "torch.max(x, dim=-1)[1]"],
    "zeros": ["torch.zeros(2, 3)", "torch.zeros((2, 3))", "torch.zeros(4)", "torch.zeros(x.size(0), 1)"], "ones": ["torch.ones(2, 3)", "torch.ones([4])"],
    "randn": ["torch.randn(2, 3) * 0.0"], "rand": ["torch.rand(2, 3) * 0.0"], "arange": ["torch.arange(4)", "torch.arange(x.size(0))"],
    "one_hot": ["F.one_hot(k, 5)", "F.one_hot(k, num_classes=4).float()"],
    "log": ["torch.log(p)"], "sqrt": ["torch.sqrt(p)"], "abs": ["torch.abs(x)"], "square": ["torch.square(x)"],
    "sin": ["torch.sin(x)"], "cos": ["torch.cos(x)"], "pow": ["torch.pow(x, 2)", "torch.pow(p, 0.5)"],
    "argmax": ["torch.argmax(x)", "torch.argmax(x, 1)", "torch.argmax(x, dim=-1, keepdim=True)"],
    "matmul": ["torch.matmul(x, y.transpose(0, 1))"], "mm": ["torch.mm(x, y.t())"], "bmm": ["torch.bmm(x, y.transpose(1, 2))"],
    "unsqueeze": ["torch.unsqueeze(x, 1)", "torch.unsqueeze(x, dim=-1)"], "squeeze": ["torch.squeeze(x, 0)", "torch.squeeze(x, dim=-1)"],
    "t_softmax": ["torch.softmax(x, 1)", "torch.softmax(x, dim=-1)"], "t_log_softmax": ["torch.log_softmax(x, dim=1)"],
    "where": ["torch.where(x > 0, x, y)", "torch.where(x > 0, x, 0.0)"],
    "zeros_like": ["torch.zeros_like(x)"], "ones_like": ["torch.ones_like(x) * x"], "randn_like": ["torch.randn_like(x) * 0.0"],
    "tensor": ["torch.tensor([1.5, 2.0]).sum() * x", "torch.tensor([1, 2], dtype=torch.float32).sum() * x", "torch.tensor(3)"],
    "float_tensor": ["torch.FloatTensor([1, 2]).sum() * x"], "long_tensor": ["torch.LongTensor([1, 2])"],
    "class_tensor": ["torch.Tensor([0])", "torch.Tensor([[1, 2]])"],
    "from_numpy": ["torch.from_numpy(np.ones(2))"],
    "concatenate": ["torch.cat([x, y])", "torch.cat((x, y), 1)", "torch.cat([x, y], dim=-1)"],
    "stack": ["torch.stack([x, y])", "torch.stack((x, y), dim=1)"],
    "flatten_tensor": ["torch.flatten(x)", "torch.flatten(x, 1)", "torch.flatten(x, start_dim=1)"],
    "t_relu": ["torch.relu(x)"], "t_sigmoid": ["torch.sigmoid(x)"], "t_tanh": ["torch.tanh(x)"], "t_exp": ["torch.exp(x)"],
    "f_softplus": ["F.softplus(x)"], "f_hardtanh": ["F.hardtanh(x)", "F.hardtanh(x, -0.5, 0.5)"],
    "f_hardswish": ["F.hardswish(x)"], "f_cosine_similarity": ["F.cosine_similarity(x, y)", "F.cosine_similarity(x, y, dim=0)"],
    "transpose": ["torch.transpose(x, 0, 1)", "torch.transpose(x, -1, 1)"], "log1p": ["torch.log1p(p)"], "reciprocal": ["torch.reciprocal(p)"],
    "rsqrt": ["torch.rsqrt(p)"], "index_select": ["torch.index_select(x, 0, torch.tensor([0, 1]))"],
    "logsumexp": ["torch.logsumexp(x, 1)", "torch.logsumexp(x, dim=0, keepdim=True)"], "eye": ["torch.eye(3)"],
    "masked_fill_function": ["torch.masked_fill(x, x > 0, 0.5)"],
    **{f"init_{name}": [] for name in ("constant", "zeros", "ones", "normal", "uniform", "xavier_uniform",
        "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal", "trunc_normal")},  # tests/translate/steps/test_initialization.py
    "seed": [], "variable": ["torch.autograd.Variable(x) * x"], "as_tensor": ["torch.as_tensor([1.5, 2.0]).sum() * x"],
    "norm": ["torch.norm(x)"], "clamp": ["torch.clamp(x, -1, 1)", "torch.clamp(x, min=0.1)"], "reshape": ["torch.reshape(x, (-1,))"],
}  # fmt: skip
METHODS = {
    "mean": ["x.mean()", "x.mean(1)", "x.mean(dim=-1, keepdim=True)", "x.mean((0, 1))"],
    "sum": ["x.sum()", "x.sum(1)", "x.sum(dim=-1, keepdim=True)", "x.sum((0, 1))", "x.sum(axis=1)"], "prod": ["x.prod()"],
    "std": ["x.std()"], "std_of": ["x.std(0)", "x.std(dim=1, keepdim=True)"], "var": ["x.var()"], "var_of": ["x.var(1)", "x.var(dim=0)"],
    "norm": ["x.norm()"], "norm_p": ["x.norm(2)", "x.norm(1)", "x.norm(p=2)"], "norm_of": ["x.norm(2, 1)", "x.norm(1, dim=1)", "x.norm(p=2, dim=0, keepdim=True)"],
    "maximum": ["x.maximum(y)"], "minimum": ["x.minimum(y)"],
    "max_of": ["x.max(1)[0]", "x.max(dim=0)[1]"], "min_of": ["x.min(1)[0]", "x.min(dim=0)[1]"],
    "clamp": ["x.clamp(-1, 1)", "x.clamp(min=0.0)"], "clip": ["x.clip(0, 1)"], "pow": ["x.pow(2)", "p.pow(0.5)"],
    "argmax": ["x.argmax()", "x.argmax(1)", "x.argmax(dim=-1, keepdim=True)"],
    "log": ["p.log()"], "sqrt": ["p.sqrt()"], "softmax": ["x.softmax(1)", "x.softmax(dim=-1)"],
    "log_softmax": ["x.log_softmax(1)", "x.log_softmax(dim=-1)"],
    "view": ["x.view(-1)", "x.view(x.size(0), -1)", "x.view((-1, 1))"], "reshape": ["x.reshape(-1)", "x.reshape(x.shape)", "x.reshape(1, -1)"],
    "flatten": ["x.flatten()", "x.flatten(1)", "x.flatten(start_dim=1, end_dim=2)"],
    "permute": ["x.permute(1, 0)", "x.permute(0, 2, 1)", "x.permute((1, 0))"], "transpose": ["x.transpose(0, 1)", "x.transpose(-1, 1)"],
    "unsqueeze": ["x.unsqueeze(0)", "x.unsqueeze(dim=-1)"], "squeeze": ["x.squeeze()", "x.squeeze(0)", "x.squeeze(-1)"],
    "size": ["x.size()"], "size_of": ["x.size(0)", "x.size(-1)", "x.size(dim=1)"], "to_type": ["x.to(torch.float32)"],
    "to_whole_type": ["x.to(torch.int64)"], "type_whole": ["x.type(torch.int64)"],
    "type": ["x.type(torch.float32)"], "type_as": ["x.type_as(y)"],
    "to_device": ["x.to('cpu')", "x.to('cpu', non_blocking=True)"], "cuda": [], "item": ["x.item()"], "tolist": ["x.tolist()"],
    "expand": ["x.expand(2, 5)", "x.expand(3, 2, -1)"], "expand_as": ["x[:1].expand_as(x)"], "repeat": ["x.repeat(2, 1)", "x.repeat(2, 1, 1)"],
    "chunk": ["x.chunk(2)[0]", "x.chunk(2, dim=1)[1]"], "split": ["x.split(1)[0]", "x.split(2, dim=1)[0]"], "unbind": ["x.unbind(0)[1]"],
    "gather": ["x.gather(1, x[:, :2].argmax(1).unsqueeze(1))"], "index_select": ["x.index_select(0, torch.tensor([0, 1]))"],
    "masked_fill": ["x.masked_fill(x > 0, 0.5)"], "view_as": ["x.view_as(y)"], "reshape_as": ["x.reshape_as(y)"],
    "matmul": ["x.matmul(y.transpose(-2, -1))"], "mm": ["x.mm(y.t())"], "bmm": ["x.bmm(y.transpose(1, 2))"],
    "eq": ["x.eq(0)", "x.eq(y)"], "ne": ["x.ne(0)"], "gt": ["x.gt(0.5)"], "lt": ["x.lt(y)"], "ge": ["x.ge(0)"], "le": ["x.le(0)"],
    "all": ["(x > 0).all()"], "any": ["(x > 0).any()"], "tril": ["x.tril()", "x.tril(diagonal=1)"], "triu": ["x.triu()", "x.triu(-1)"],
    "clone": ["x.clone() * x"], "detach": ["x.detach() * x"], "data": ["x.data * x"], "T": ["x.T"], "shape": ["x.shape", "x.shape[0]"],
    "amax": ["x.amax(1)", "x.amax(dim=0, keepdim=True)"], "amin": ["x.amin(1)", "x.amin(dim=0, keepdim=True)"], "log1p": ["p.log1p()"],
    "rsqrt": ["p.rsqrt()"], "reciprocal": ["p.reciprocal()"], "logsumexp": ["x.logsumexp(1)", "x.logsumexp(0, keepdim=True)"],
    "cumsum": ["x.cumsum(1)", "x.cumsum(dim=0)"], "flip": ["x.flip(1)", "x.flip(0, 1)"],
    "sub": ["x.sub(0.5)", "x.sub(y)"], "mul": ["x.mul(0.5)", "x.mul(y)"], "div": ["x.div(2.0)", "p.div(y)"], "add": ["x.add(0.5)", "x.add(y)"],
    **{name: [] for name in ("fill_", "fill_fresh", "zero_", "copy_", "mul_", "div_", "add_", "add_scaled_", "sub_", "sub_scaled_", "clamp_", "normal_", "uniform_")},
    "ndim": ["x.ndim"], "requires_grad": ["nn.Parameter(torch.tensor([1.0])).requires_grad"], "dtype": ["x.dtype == y.dtype"], "numpy": ["x.detach().cpu().numpy()"], "cpu": ["x.cpu() * x"],
}  # fmt: skip
"""Rows that are not here are run as `x.name()`."""
OPERATORS = [
    "x + y", "x + 1", "x - 0.5", "1 - x", "x * y", "2 * x", "x / y", "x / 2", "1 / p", "x // 2", "x % 2", "x ** 2", "p ** 0.5", "2 ** x",
    "x @ y.transpose(0, 1)", "x == y", "x != 0", "x < y", "x <= 0", "x > 0.5", "x >= y", "-x", "+x", "not x.shape", "x[0]", "x[:, 1:]",
    "x[..., None]", "x[-1]", "x[x > 0]", "x * y[:1]", "x + y.sum()", "x * y.mean(dim=0)", "sum(row for row in x)", "len(x)", "float(x)",
    "(x > 0) & (y > 0)", "(x > 0) | (y > 0)", "~(x > 0)", "(x > 0) ^ (y > 0)", "abs(x)", "x is None", "x is not None",
]  # fmt: skip
MODELS = {
    "training": "net.training",
    "state_dict": "",
    "load_state_dict": "",
    "to": "",
    "cuda": "",
    "cpu": "",
    "parameters": "",
    "modules": "",
    "apply": "",
}
SHAPES = [(), (5,), (2, 3), (2, 4), (1, 5), (2, 3, 4), (2, 3, 4, 4)]
TYPES = {
    "parameter": ("float32",),
    "any": ("float32", "int64", "bool"),
    "number": ("float32", "int64"),
    "float": ("float32",),
}


def expressions() -> Iterator[tuple[str, str, str]]:
    """Every expression with its row and the types that it is right for; a layer is made once, before."""
    table = load_table(TORCH, MINDSPORE)
    takes = {pair.place: pair.row.takes for rows in table.methods.values() for pair in rows}
    takes |= {pair.place: pair.row.takes for rows in table.callables.values() for pair in rows}
    for name, pair in rows("callables"):
        samples = LAYERS.get(name) or list(losses(name)) or FUNCTIONS[name]
        for text in samples:
            called = f"{text}({'k' if name == 'embedding' else 'x'})" if name in LAYERS else text
            called += "[0]" * (name in ("lstm", "gru"))
            yield f"{name}: {text}", called, takes[pair.place]
    for name, pair in rows("methods"):
        for text in METHODS.get(name, [f"x.{name}()"]):
            yield f"Tensor.{name}: {text}", text, takes[pair.place]
    for text in OPERATORS:
        yield f"operator: {text}", text, "any"


def rows(kind: str) -> list[tuple[str, Pair]]:
    from optmap.mapping.steps import _pair, load_file

    every = getattr(load_file(), kind)
    return [
        (name, _pair(row, TORCH, MINDSPORE))
        for name, row in every.items()
        if {TORCH, MINDSPORE} <= row.sides.keys() and TORCH in (next(iter(row.sides)), *row.also_from)
    ]


def losses(name: str) -> Iterator[str]:
    if name in LOSSES:
        function, given = LOSSES[name]
        mean_alone = "bce_logits" in name
        for more in ("", *(() if mean_alone else ("reduction='sum'", "reduction='none'"))):
            own = function.startswith("nn.")
            more = "pos_weight=torch.tensor(2.5)" if name == "bce_logits_weighted" else more
            yield f"{function}({more})({given})" if own else f"{function}({given}{', ' * bool(more)}{more})"


SAMPLES = list(expressions())


def program() -> str:
    """A training step that uses every expression; layers stand in variables of the module."""
    lines = ["import numpy as np", "import torch", "import torch.nn as nn", "import torch.nn.functional as F", ""]
    body = []
    for index, (_, text, _) in enumerate(SAMPLES):
        made = re.match(r"(nn\.[A-Z]\w*)\(", text)
        if made and not text.startswith(("nn.ModuleList", "nn.Parameter")):
            layer, _, rest = text.rpartition(")(")
            lines.append(f"layer_{index} = {layer})")
            text = f"layer_{index}({rest}"
        body += [f"def case_{index}(x, y, p, q, k):", f"    return {text}", ""]
    every = [(f"case_{index}(x, x, x, x, x)", ".numpy()" in text) for index, (_, text, _) in enumerate(SAMPLES)]
    calls = " + ".join(call for call, is_array in every if not is_array)
    step = [
        "net = nn.Linear(2, 2)", "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)", "def train_step(x):",
        "    optimizer.zero_grad()", f"    loss = net(x).sum() + {calls}", "    loss.backward()", "    optimizer.step()",
        *(f"    print({call})" for call, is_array in every if is_array),
    ]  # fmt: skip
    return "\n".join([*lines, "", *body, *step, ""])


@pytest.fixture(scope="module")
def both(tables: MappingSet) -> tuple[dict[str, Any], dict[str, Any]]:
    torch, mindspore = framework_module("torch"), framework_module("mindspore")
    text = program()
    result = translate_bytes(text.encode(), tables, Options(MINDSPORE, frozenset({TORCH}), rewrite_step=True))
    assert "OM403" in {item.code.id for item in result.diagnostics}, [item.message[:400] for item in result.diagnostics]
    mindspore.set_context(pynative_synchronize=True)
    before, after = execute(text), execute(result.output.decode())
    for name, layer in before.items():
        if isinstance(layer, torch.nn.Module) and name in after and hasattr(after[name], "get_parameters"):
            copy_weights(torch, mindspore, layer, after[name])
    return before, after


def copy_weights(torch: Any, mindspore: Any, one: Any, other: Any) -> None:
    own = np.random.default_rng(5)
    found = {parameter.name: parameter for parameter in other.trainable_params()}
    pairs = zip(one.named_parameters(), other.trainable_params(), strict=True)
    for (name, parameter), same_place in pairs:
        value = (own.normal(size=tuple(parameter.shape)) * 0.5).astype("float32")
        parameter.data.copy_(torch.tensor(value))
        found.get(name, same_place).set_data(mindspore.Tensor(value))
    one.train()
    other.set_train()


def inputs(types: tuple[str, ...]) -> Iterator[list[Any]]:
    """Values for x, y, p (probabilities), q (targets of 0 and 1) and k (classes)."""
    random = np.random.default_rng(3)
    for shape in SHAPES:
        for kind in types:
            whole = np.asarray(random.integers(-3, 4, size=shape))
            made = random.normal(size=shape) * 2 if kind == "float32" else whole
            other = random.normal(size=shape) if kind == "float32" else np.asarray(random.integers(1, 4, size=shape))
            p, q = random.uniform(0.05, 0.95, size=shape), np.asarray(random.integers(0, 2, size=shape))
            classes = np.asarray(random.integers(0, 2, size=shape[:1] + shape[2:]))
            yield [made.astype(kind) if isinstance(made, np.ndarray) else np.asarray(made, kind), np.asarray(other, kind),
                   np.asarray(p, "float32"), np.asarray(q, "float32"), np.asarray(classes, "int64")]  # fmt: skip


@pytest.mark.parametrize("index", range(len(SAMPLES)), ids=[name for name, _, _ in SAMPLES])
def test_a_row_means_the_same(index: int, both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    torch, mindspore = framework_module("torch"), framework_module("mindspore")
    before, after = (names[f"case_{index}"] for names in both)
    equal = 0
    for values in inputs(TYPES[SAMPLES[index][2]]):
        given = [torch.tensor(item) for item in values]
        if given[0].is_floating_point():
            given[0].requires_grad_()
            given[2].requires_grad_()
        try:
            expected = before(*given)
        except Exception:
            continue  # what torch rejects no program does
        try:
            found = after(*map(mindspore.Tensor, values))
            plain(found, mindspore)
        except Exception:
            continue  # loud
        shown = [(item.dtype, item.shape) for item in values[:2]]
        if "bce" in SAMPLES[index][0] and not values[0].shape:
            continue  # the row warns of it
        np.testing.assert_allclose(
            plain(found, mindspore), plain(expected, torch), rtol=2e-4, atol=2e-5, err_msg=str(shown)
        )
        assert type_of(found) == type_of(expected), shown
        compare_gradients(torch, mindspore, after, expected, values, given)
        equal += 1
    assert equal, "no input on which both frameworks compute"


def plain(value: Any, module: Any) -> Any:
    if isinstance(value, module.Tensor):
        return value.detach().numpy() if hasattr(value, "detach") else value.asnumpy()
    return np.asarray(value)


def type_of(value: Any) -> str:
    name = str(value.dtype) if hasattr(value, "dtype") else type(value).__name__
    return name.removeprefix("torch.").lower().removesuffix("_").replace("size", "tuple")


def compare_gradients(
    torch: Any, mindspore: Any, after: Any, expected: Any, values: list[Any], given: list[Any]
) -> None:
    """The gradients of both arguments that may have one, for a weighted sum of the results."""
    if not isinstance(expected, torch.Tensor) or expected.grad_fn is None:
        return
    weights = np.random.default_rng(9).normal(size=tuple(expected.shape)).astype("float32")
    try:
        (expected * torch.tensor(weights)).sum().backward()
    except RuntimeError:
        return  # the operator has no gradient
    rest = [mindspore.Tensor(item) for item in values]

    def weighted(x: Any, p: Any) -> Any:
        return (after(x, rest[1], p, *rest[3:]) * mindspore.Tensor(weights)).sum()

    found = mindspore.grad(weighted, (0, 1))(rest[0], rest[2])
    for gradient, tensor in zip(found, (given[0], given[2]), strict=True):
        own = tensor.grad if tensor.grad is not None else torch.zeros_like(tensor)
        np.testing.assert_allclose(gradient.asnumpy(), own.numpy(), rtol=2e-3, atol=2e-4)


def test_every_row_has_an_expression() -> None:
    names = {name for name, _ in rows("callables")}
    assert names == LAYERS.keys() | LOSSES.keys() | FUNCTIONS.keys()
    assert METHODS.keys() <= {name for name, _ in rows("methods")}
    assert {name for name, _ in rows("models")} == MODELS.keys()
