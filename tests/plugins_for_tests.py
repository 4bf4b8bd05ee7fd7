"""A plugin file of models that go wrong in every way a worker must survive."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
from flax import nnx

import harness

How = Literal[
    "fine", "sleep", "sys.exit", "os._exit", "segv", "kill", "unsupported", "value",
    "multiline", "width", "memory", "child", "print", "nan", "fork", "thread", "fork and die",
    "deaf", "greedy", "writer",
]  # fmt: skip


class Odd(nnx.Module):
    """Goes wrong as it is told to."""

    def __init__(self, data: harness.DataSpec, *, how: How = "fine", rngs: nnx.Rngs):
        self.head = nnx.Linear(1, data.num_classes, rngs=rngs)
        self.how = how
        if how in ("sleep", "child"):
            if how == "child":
                subprocess.Popen([sys.executable, "-c", "import time; time.sleep(61)"])
            time.sleep(60)
        elif how == "sys.exit":
            sys.exit(3)
        elif how == "os._exit":
            print("last words", file=sys.stderr, flush=True)
            os._exit(4)
        elif how == "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif how == "unsupported":
            raise harness.Unsupported("no tokens here")
        elif how == "value":
            raise ValueError("bad value")
        elif how == "multiline":
            raise RuntimeError("first line\nsecond line")
        elif how == "memory":
            raise MemoryError("no more")
        elif how.startswith("fork"):
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            if how == "fork and die":
                os._exit(5)
        elif how == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if "ODD_FILE" in os.environ:
                Path(os.environ["ODD_FILE"]).touch()
            time.sleep(60)
        elif how == "greedy":
            # keeps the interpreter to itself: no other thread of the process runs meanwhile
            print("greedy now", flush=True)
            ctypes.PyDLL(None).sleep(600)
        elif how == "writer":
            loop = f"while :; do date +%N >> {os.environ['ODD_FILE']}; sleep 0.05; done"
            subprocess.Popen(["sh", "-c", loop])
            time.sleep(600)
        elif how == "thread":
            threading.Thread(target=time.sleep, args=(600,)).start()
        elif how == "print":
            print("noise on standard output")
            os.write(1, b'{"event": "Ended", "status": "ok"}\n')

    def __call__(self, tokens):
        if self.how == "width":
            return tokens.astype(jnp.float32)
        x = self.head(tokens.mean(axis=1, keepdims=True))  # [b, c]
        return x / 0.0 if self.how == "nan" else x


@harness.hookimpl
def register_models(register: harness.Register) -> None:
    register("odd", Odd, variants={"noisy": {"how": "print"}})
    register("absent", Odd, requires=("no_such_package",))
