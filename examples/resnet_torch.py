"""Train a small residual network: parameter groups, a warm-up, a step schedule and clipping, as a PyTorch script has them."""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import MultiStepLR


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + x)


class Network(nn.Module):
    def __init__(self, classes=10, channels=16, blocks=3):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.body = nn.Sequential(*[Block(channels) for _ in range(blocks)])
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.body(self.stem(x))
        return self.head(x.mean(dim=(2, 3)))


def build_optimizer(model, args):
    if args.optimizer == "sgd":
        # The head learns ten times faster than the rest.
        return optim.SGD(
            [
                {"params": model.stem.parameters()},
                {"params": model.body.parameters(), "weight_decay": args.weight_decay},
                {"params": model.head.parameters(), "lr": args.lr * 10},
            ],
            lr=args.lr,
            momentum=0.9,
            nesterov=True,
        )
    if args.optimizer == "adamw":
        return optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay, fused=True)
    return optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=args.lr, betas=(0.9, 0.99))


def train(args):
    model = Network()
    criterion = nn.CrossEntropyLoss()
    optimizer = build_optimizer(model, args)
    scheduler = MultiStepLR(optimizer, milestones=[30, 60], gamma=0.1)
    for epoch in range(args.epochs):
        for _ in range(args.steps):
            images, labels = torch.randn(8, 3, 32, 32), torch.randint(0, 10, (8,))
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        scheduler.step()
        print(f"epoch {epoch}: loss {loss.item():.4f}, lr {scheduler.get_last_lr()[0]:.5f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--steps", type=int, default=100)
    train(parser.parse_args())
