"""The sizes that all arms share: the tutorial's."""

BATCH, EVAL_BATCH, LEARNING_RATE = 128, 256, 1e-3
VOCAB, LENGTH, WIDTH, HEADS, UNITS, DROPOUT = 20_000, 200, 32, 2, 20, 0.1
# a block of bare steps, on batches that lie ready
BLOCK_STEPS = 15
