"""PyTorch: fused attention, fused Adam, a DataLoader; eager or `torch.compile`."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers import sizes
from benchmarks.peers.job import Answer, Job, block_ms, read_data, run_epochs


class Block(nn.Module):
    """Post-norm encoder block."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix, self.expand, self.contract = (
            nn.Linear(sizes.WIDTH, sizes.WIDTH) for _ in range(6)
        )
        self.norm_1, self.norm_2 = (nn.LayerNorm(sizes.WIDTH, eps=1e-6) for _ in range(2))
        self.dropout = nn.Dropout(sizes.DROPOUT)

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        return x.view(b, t, sizes.HEADS, d // sizes.HEADS).transpose(1, 2)  # [b, h, t, d/h]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[b, t, d] to [b, t, d]."""
        mixed = F.scaled_dot_product_attention(
            self._heads(self.query(x)), self._heads(self.key(x)), self._heads(self.value(x))
        )
        mixed = mixed.transpose(1, 2).reshape(x.shape)  # [b, t, h, d/h] -> [b, t, d]
        x = self.norm_1(x + self.dropout(self.mix(mixed)))
        return self.norm_2(x + self.dropout(self.contract(F.relu(self.expand(x)))))


class Classifier(nn.Module):
    """Embedding, the block if there is one, mean, head of 20 units."""

    def __init__(self, *, transformer: bool) -> None:
        super().__init__()
        self.token = nn.Embedding(sizes.VOCAB, sizes.WIDTH)
        # Keras' and Flax' scale; PyTorch's own, 1, would be another starting point
        nn.init.normal_(self.token.weight, std=sizes.WIDTH**-0.5)
        self.position = nn.Embedding(sizes.LENGTH, sizes.WIDTH) if transformer else None
        if self.position is not None:
            nn.init.normal_(self.position.weight, std=sizes.WIDTH**-0.5)
        self.block = Block() if transformer else None
        self.dropout = nn.Dropout(sizes.DROPOUT)
        self.hidden = nn.Linear(sizes.WIDTH, sizes.UNITS)
        self.out = nn.Linear(sizes.UNITS, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """int [b, t] to logits [b, 2]."""
        x = self.token(tokens)
        if self.position is not None and self.block is not None:
            x = self.block(x + self.position.weight)
        x = self.dropout(x.mean(dim=1))  # [b, d]
        return self.out(self.dropout(F.relu(self.hidden(x))))


def _train_step(model: Any, optimizer: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


def _train(model: Any, optimizer: Any, loader: Any) -> None:
    model.train()
    losses = [_train_step(model, optimizer, x, y).detach() for x, y in loader]
    torch.stack(losses).mean().item()


@torch.no_grad()
def _evaluate(model: Any, loader: Any) -> float:
    model.eval()
    correct = sum((model(x).argmax(dim=1) == y).sum() for x, y in loader)
    return float(correct) / len(loader.dataset)


def run(job: Job) -> Answer:
    torch.manual_seed(0)
    data = read_data(job.data)

    def loader(x: Any, y: Any, *, batch: int, shuffle: bool) -> Any:
        examples = TensorDataset(torch.from_numpy(x), torch.from_numpy(y).long())
        return DataLoader(examples, batch_size=batch, shuffle=shuffle)

    train = loader(data.x_train, data.y_train, batch=sizes.BATCH, shuffle=True)
    test = loader(data.x_test, data.y_test, batch=sizes.EVAL_BATCH, shuffle=False)
    plain = Classifier(transformer=job.model == "transformer")
    model = torch.compile(plain) if job.options["compile"] else plain
    optimizer = torch.optim.Adam(plain.parameters(), lr=sizes.LEARNING_RATE, fused=True)
    measured = run_epochs(
        job.epochs, lambda: _train(model, optimizer, train), lambda: _evaluate(model, test)
    )
    plain.train()
    x, y = next(iter(train))

    def block() -> None:
        for _ in range(sizes.BLOCK_STEPS):
            _train_step(model, optimizer, x, y)

    return Answer(
        param_count=sum(p.numel() for p in plain.parameters()),
        **measured,
        step_ms=block_ms(block, blocks=job.blocks),
        versions={"torch": torch.__version__},
        extra={"threads": torch.get_num_threads()},
    )
