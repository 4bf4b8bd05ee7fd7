"""The transformer text classifier of the tutorial, and its one-field ablations.

Tokens and positions are embedded, one post-norm encoder block mixes them, the positions
are averaged, and a head of 20 relu units gives the logits. Each keyword parameter is one
decision of that architecture, so an ablation is a variant that changes one of them; so is
what later papers did instead: pre-norm, positions without a table, other units, windows.

Two things differ from the tutorial on purpose: the base model returns logits where the
tutorial returns a softmax (its loss then applies a second one; variant `tutorial` does
the same), and the feed-forward layer ends at the block's width, so any `ff_dim` works.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

import harness
from harness.hookspecs import Register
from harness_models._layers import (
    Activation,
    EncoderBlock,
    Head,
    Norm,
    Rate,
    Size,
    SizeOrZero,
    TokenEmbedding,
    real_positions,
    text_sizes,
)
from harness_models._pooling import Pooling
from harness_models._positions import Relations, sinusoids

BLIND_CLASS_POSITION = (
    "pooling=cls with attention=false: the class position would see no token; "
    "use pooling=mean or pooling=max, or attention=true"
)


# a group of fewer positions takes more time to compile than it saves
GROUP_POSITIONS = 2048


class Transformer(nnx.Module):
    """A transformer encoder, pooled over positions.

    Vaswani et al. 2017, "Attention Is All You Need".

    Args:
      data: sequences of tokens.
      embed_dim: width of the token vectors and of every block.
      num_heads: attention heads; must divide `embed_dim`.
      ff_dim: hidden units of the feed-forward layer.
      num_blocks: encoder blocks, one after another.
      dropout: rate of all dropout layers.
      head_units: relu units between pooling and logits; 0 for none.
      norm: each sublayer's output is normalised with its residual connection ("post"), or
        its input alone, and the last block's output at the end ("pre"; Xiong et al. 2020,
        "On Layer Normalization in the Transformer Architecture").
      activation: of the feed-forward layer: relu; gelu (Hendrycks and Gimpel 2016); or
        swiglu (Shazeer 2020, "GLU Variants Improve Transformer"), which has a third matrix
        of the same size, where the paper makes all three smaller.
      position: whether it matters where a token stands; without, `position_kind` has no
        effect.
      position_kind: how it is told. A vector is added to each token, from a table
        ("learned") or of waves ("sinusoidal"; Vaswani et al. 2017, 3.5); or attention takes
        the distance into account, by turning queries and keys ("rotary"; Su et al. 2021,
        "RoFormer") or by scores that fall with it, alike to both sides ("alibi"; Press et
        al. 2022, "Train Short, Test Long").
      attention: whether blocks have their attention sublayer.
      window: positions that each sees on either side of it (Beltagy et al. 2020,
        "Longformer"); 0 for all. A class position sees all and all see it. All scores are
        computed and then masked: it takes no less time.
      feedforward: whether blocks have their feed-forward sublayer.
      mask_padding: whether attention and pooling leave padding out; no effect on data
        without a `pad_id`.
      pooling: over positions: their mean, the maximum of each channel, the last one, their
        mean weighted by a learned query ("attention"; Yang et al. 2016), or the output at a
        learned class position ("cls"; Devlin et al. 2019).
      softmax_output: whether calling the model gives probabilities instead of logits.
      groups: the blocks take the examples of a batch in at most so many groups, each
        independent of the others, so that the cores of a CPU work side by side and
        temporaries stay in their caches; a small batch makes fewer of them. On a GPU one
        is quicker. It decides which random numbers dropout draws, and nothing else.

    Raises:
      Unsupported: the data are not sequences of tokens.
      UsageError: `num_heads` does not divide `embed_dim`, or leaves heads of an odd width
        with "rotary"; "cls", "rotary", "alibi" or a window without attention.
    """

    def __init__(
        self,
        data: harness.DataSpec,
        *,
        embed_dim: Size = 32,
        num_heads: Size = 2,
        ff_dim: Size = 32,
        num_blocks: Size = 1,
        dropout: Rate = 0.1,
        head_units: SizeOrZero = 20,
        norm: Norm = "post",
        activation: Activation = "relu",
        position: bool = True,
        position_kind: Literal["learned", "sinusoidal", "rotary", "alibi"] = "learned",
        attention: bool = True,
        window: SizeOrZero = 0,
        feedforward: bool = True,
        mask_padding: bool = False,
        pooling: Literal["mean", "max", "last", "attention", "cls"] = "mean",
        softmax_output: bool = False,
        groups: Size = 8,
        rngs: nnx.Rngs,
    ) -> None:
        kind = position_kind if position else "none"
        relations = Relations(
            rotary=kind == "rotary", alibi=kind == "alibi", window=window,
            class_first=pooling == "cls",
        )  # fmt: skip
        if not attention:
            _check_without_attention(relations)
        vocab_size, length = text_sizes(data)
        self.pad_id = data.pad_id if mask_padding else None
        self.softmax_output = softmax_output
        self.groups = groups
        self.embed = TokenEmbedding(
            vocab_size, length, embed_dim, position=kind == "learned", rngs=rngs
        )
        self.sinusoidal = kind == "sinusoidal"
        # a position of its own in front of the sequence (Devlin et al. 2019, "BERT"): the
        # first position of the data is padding in a short text and a word in a long one
        self.class_position = nnx.Embed(1, embed_dim, rngs=rngs) if pooling == "cls" else None
        self.blocks = nnx.List(
            EncoderBlock(
                embed_dim, num_heads=num_heads, ff_dim=ff_dim, dropout=dropout,
                attention=attention, feedforward=feedforward, norm=norm,
                activation=activation, relations=relations, rngs=rngs,
            )
            for _ in range(num_blocks)
        )  # fmt: skip
        # pre-norm blocks hand on what no layer has normalised
        self.norm = nnx.LayerNorm(embed_dim, epsilon=1e-6, rngs=rngs) if norm == "pre" else None
        self.pool = Pooling(pooling, embed_dim, rngs=rngs) if pooling != "cls" else None
        self.head = Head(embed_dim, head_units, data.num_classes, dropout=dropout, rngs=rngs)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Classifies int32 tokens `[b, t]`, as many as the data has or fewer.

        Returns:
          float32 `[b, c]`: logits, or probabilities with `softmax_output`.
        """
        x = self.embed(tokens)  # [b, t, d]
        if self.sinusoidal:
            # the paper multiplies the tokens' vectors with this root instead
            waves = sinusoids(*x.shape[1:]) * x.shape[2] ** -0.5  # [t, d]
            x = x + waves[None].astype(x.dtype)
        mask = real_positions(tokens, pad_id=self.pad_id)  # [b, t] or None
        if self.class_position is not None:
            x, mask = _prepend(self.class_position.embedding[...], x, mask)  # t + 1 positions
        groups = range(0, x.shape[0], self._group_size(x))
        size = groups.step  # of all groups but the last
        masks = [None if mask is None else mask[i : i + size] for i in groups]
        pooled = [self._encode(x[i : i + size], m) for i, m in zip(groups, masks, strict=True)]
        outputs = self.head(jnp.concatenate(pooled))
        return jax.nn.softmax(outputs) if self.softmax_output else outputs

    def probabilities(self, outputs: jax.Array) -> jax.Array:
        """What the outputs `[b, c]` of a call say about each class: `[b, c]`, rows sum to 1."""
        return outputs if self.softmax_output else jax.nn.softmax(outputs)

    def _group_size(self, x: jax.Array) -> int:
        """Examples in a group of `[b, t, d]`, where a group is worth its compile time."""
        b, t, _ = x.shape
        most = max(1, b * t // GROUP_POSITIONS)
        return -(-b // min(self.groups, most))

    def _encode(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        """The blocks and the pooling: `[b, t, d]` to `[b, d]`."""
        for block in self.blocks:
            x = block(x, mask)
        if self.norm is not None:
            x = self.norm(x)
        return x[:, 0] if self.pool is None else self.pool(x, mask)


def _check_without_attention(relations: Relations) -> None:
    """Refuses what only attention looks at, where there is none."""
    if relations.class_first:
        raise harness.UsageError(BLIND_CLASS_POSITION)
    if relations.rotary or relations.alibi:
        raise harness.UsageError(
            f"position_kind={'rotary' if relations.rotary else 'alibi'} with attention=false: "
            "nothing would look at positions; use position_kind=learned or sinusoidal, or "
            "attention=true"
        )
    if relations.window:
        raise harness.UsageError(
            f"window={relations.window} with attention=false: nothing would look through it; "
            "use window=0 or attention=true"
        )


def _prepend(
    vector: jax.Array, x: jax.Array, mask: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """Puts a vector `[1, d]` in front of `[b, t, d]`; its position always counts."""
    b, _, d = x.shape
    x = jnp.concatenate([jnp.broadcast_to(vector[None], (b, 1, d)), x], axis=1)
    if mask is not None:
        mask = jnp.concatenate([jnp.ones((b, 1), bool), mask], axis=1)
    return x, mask  # [b, t + 1, d], [b, t + 1]


@harness.hookimpl
def register_models(register: Register) -> None:
    register(
        "transformer",
        Transformer,
        variants={
            "tutorial": {"softmax_output": True},
            "no_position": {"position": False},
            "no_attention": {"attention": False},
            "no_feedforward": {"feedforward": False},
            "one_head": {"num_heads": 1},
            "masked": {"mask_padding": True},
            "max_pool": {"pooling": "max"},
            "cls_pool": {"pooling": "cls"},
            "attention_pool": {"pooling": "attention"},
            "deep": {"num_blocks": 4},
            "pre_norm": {"norm": "pre"},
            "gelu": {"activation": "gelu"},
            "swiglu": {"activation": "swiglu"},
            "sinusoidal": {"position_kind": "sinusoidal"},
            "rotary": {"position_kind": "rotary"},
            "alibi": {"position_kind": "alibi"},
            "local": {"window": 8},
        },
        description="Token and position embedding, post-norm encoder block, mean, 20-unit head",
        paper="Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    )
