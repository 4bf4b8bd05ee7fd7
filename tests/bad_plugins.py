"""Plugins that go wrong, each in its own way: what a suite of them must leave behind.

Each is a file of its own with one model named like the file. `BAD` says what its row holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = """\
import atexit, json, os, signal, stat, subprocess, sys, threading, time
import jax, jax.numpy as jnp, numpy as np
from flax import nnx
import harness
{top}

def boom(*_):
    raise RuntimeError("boom")

def die(*_):
    os.kill(os.getpid(), signal.SIGSEGV)

def forge():  # says what no column can hold on every pipe that it finds
    lines = [json.dumps(dict(event="Measured", values=dict(nope=1))),
             json.dumps(dict(event="Measured", values=dict(train_s="long"))),
             json.dumps(dict(event="Measured", values=dict(train_s=10**400))),
             json.dumps(dict(event="EpochEnd", values=dict(epoch=1))),
             "[" * 20_000]
    for fd in range(3, 20):
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.write(fd, "".join(line + chr(10) for line in lines).encode())
        except OSError:
            pass

class Model(nnx.Module):
    def __init__(self, data, *, rngs: nnx.Rngs):
        self.drop = nnx.Dropout(0.0, rngs=rngs)
        self.calls = nnx.Variable(jnp.zeros((), jnp.int32))
        self.head = nnx.Linear(1, data.num_classes, rngs=rngs)
        {init}

    def __call__(self, tokens):
        self.calls[...] += 1
        x = tokens.astype(jnp.float32).mean(axis=1, keepdims=True)
        out = self.head(x)
        {call}
        return out

    {methods}

{hook}
"""
HOOK = """\
@harness.hookimpl
def register_models(register):
    register("{name}", Model{fields})
"""


@dataclass(frozen=True)
class Bad:
    """A plugin, and the row that its run leaves.

    Attributes:
      top, init, call, methods: lines of the file, the constructor, the call, the class.
      hook: the file's last lines, where they are not the usual ones.
      fields: further arguments of `register`.
      status, phase, error_type, message: of its row; the message holds this text.
    """

    name: str
    status: str
    phase: str = ""
    error_type: str = ""
    message: str = ""
    top: str = ""
    init: str = "pass"
    call: str = "pass"
    methods: str = "pass"
    hook: str = HOOK
    fields: str = ""

    def source(self) -> str:
        lines = {
            "top": self.top, "init": self.init, "call": self.call, "methods": self.methods,
            "hook": self.hook.format(name=self.name, fields=self.fields),
        }  # fmt: skip
        return TEMPLATE.format(**lines)


def _load(name: str, top: str, error_type: str, message: str, **more: str) -> Bad:
    return Bad(name, "failed", "load", error_type, message, top=top, **more)


def _built(name: str, init: str, status: str, error_type: str, message: str) -> Bad:
    return Bad(name, status, "construct", error_type, message, init=init)


def _called(name: str, call: str, error_type: str, message: str) -> Bad:
    return Bad(name, "failed", "compile", error_type, message, call=call)


def _fine(name: str, init: str = "pass", **more: str) -> Bad:
    return Bad(name, "ok", init=init, **more)


AT_STEP_3 = "jax.debug.callback(lambda n: {} if n == 3 else None, self.calls[...])"

BAD: tuple[Bad, ...] = (
    # at import
    _load("import_error", "raise ImportError('no luck')", "ImportError", "no luck"),
    Bad("import_missing", "unavailable", "load", "Unavailable",
        "pip install no_such_package", top="import no_such_package.part"),
    _load("import_syntax", "def broken(:", "SyntaxError", "invalid syntax"),
    _load("import_exit", "sys.exit(3)", "SystemExit", "3"),
    _load("import_death", "os._exit(7)", "Died", "exit code 7"),
    _load("import_segv", "os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV", "SIGSEGV"),
    _load("nothing_registered", "", "PluginError", "registers nothing", hook=""),
    _load("hook_signature", "", "PluginError", "register_models(register)",
          hook="@harness.hookimpl\ndef register_models(registry):\n    pass"),
    _load("name_untypable", "", "PluginError", "cannot be typed",
          hook="@harness.hookimpl\ndef register_models(register):\n"
               "    register('a b', Model)"),
    Bad("requires_missing", "unavailable", "load", "Unavailable",
        "pip install no_such_package", fields=', requires=("no_such_package",)'),
    # at construction
    _built("construct_error", "raise ValueError('bad value')", "failed", "ValueError",
           "bad value"),
    _built("construct_lines", "raise RuntimeError('first\\nsecond\\0\\udcff')", "failed",
           "RuntimeError", "first"),
    _built("construct_exit", "sys.exit(4)", "failed", "SystemExit", "4"),
    _built("construct_death", "os._exit(5)", "failed", "Died", "exit code 5"),
    _built("construct_segv", "die()", "failed", "SIGSEGV", "killed by SIGSEGV"),
    _built("construct_kill", "os.kill(os.getpid(), signal.SIGKILL)", "oom", "SIGKILL",
           "killed by SIGKILL"),
    _built("construct_abort", "os.abort()", "failed", "SIGABRT", "killed by SIGABRT"),
    _built("construct_interrupt", "raise KeyboardInterrupt", "failed", "SIGINT", "SIGINT"),
    _built("construct_recursion", "(f := lambda: f())()", "failed", "RecursionError",
           "recursion"),
    _built("construct_unsupported", "raise harness.Unsupported('no tokens')", "skipped",
           "Unsupported", "no tokens"),
    _built("construct_stdin", "input()", "failed", "EOFError", "EOF"),
    _built("host_memory", "np.zeros(1 << 50)", "oom", "MemoryError", "allocate"),
    _built("device_memory", "self.big = jnp.zeros(1 << 45, jnp.uint8)", "oom",
           "JaxRuntimeError", "RESOURCE_EXHAUSTED"),
    _built("hangs", "time.sleep(10**6)", "timeout", "Timeout", "--phase-timeout construct"),
    _built("spins", "while True: pass", "timeout", "Timeout", "--phase-timeout construct"),
    _built("deaf", "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(10**6)",
           "timeout", "Timeout", "--phase-timeout construct"),
    _built("flood", "while True: print('x' * 10_000)", "timeout", "Timeout",
           "--phase-timeout construct"),
    # before training
    Bad("prepare_error", "failed", "prepare", "RuntimeError", "boom",
        methods="def prepare(self, train): boom()"),
    _called("trace_error", "boom()", "RuntimeError", "boom"),
    _called("trace_shapes", "out = out @ jnp.ones((3, 3))", "TypeError", "dot_general"),
    _called("wrong_width", "out = out[:, :1]", "ContractError",
            "float32 [32, 1] for x [32, 64]; expected floating point [batch, num_classes] = "
            "[32, 10]"),
    _called("wrong_type", "out = out.astype(jnp.int32)", "ContractError", "int32 [32, 10]"),
    _called("two_outputs", "out = (out, out)", "ContractError", "returned tuple"),
    Bad("trace_hangs", "timeout", "compile", "Timeout", "--phase-timeout compile",
        call="time.sleep(10**6)"),
    Bad("lazy_import", "unavailable", "construct", "ModuleNotFoundError",
        "pip install no_such_package", init="import no_such_package"),
    # in training and evaluation
    Bad("step_hangs", "timeout", "train", "Timeout", "--phase-timeout train",
        call=AT_STEP_3.format("time.sleep(10**6)")),
    Bad("nan_loss", "diverged", "train", "Diverged", "at step 1", call="out = out / 0"),
    Bad("inf_later", "diverged", "train", "Diverged", "at step 4",
        call="out = jnp.where(self.calls[...] > 3, jnp.inf, out)"),
    Bad("step_error", "failed", "train", "JaxRuntimeError",
        "RuntimeError: boom (in training steps 2 to ",
        call=AT_STEP_3.format("boom()")),
    Bad("step_segv", "failed", "train", "SIGSEGV", "SIGSEGV", call=AT_STEP_3.format("die()")),
    Bad("eval_error", "failed", "evaluate", "JaxRuntimeError", "boom",
        call="if self.drop.deterministic: jax.debug.callback(boom)"),
    Bad("eval_nan", "diverged", "evaluate", "Diverged", "evaluation loss",
        call="out = out / 0 if self.drop.deterministic else out"),
    # odd, and no fault
    _fine("long_output", "print('x' * 10_000_000)"),
    _fine("leaves_thread", "threading.Thread(target=time.sleep, args=(600,)).start()"),
    _fine("leaves_files", "self.__class__.open = [open(os.devnull) for _ in range(200)]"),
    _fine("leaves_child", "subprocess.Popen(['sleep', '600'])"),
    _fine("leaves_fork", "os.fork() or time.sleep(600)"),
    _fine("leaves_session", "os.fork() or (os.setsid(), time.sleep(30), os._exit(0))"),
    _fine("floods_at_import", top="for _ in range(50_000): print('x' * 1000)"),
    _fine("closes_output", "os.close(1); os.close(2)"),
    _fine("goes_elsewhere", "os.chdir('/')"),
    _fine("forges_events", "os.write(1, b'{\"event\": \"Ended\", \"status\": \"oom\"}\\n')"),
    _fine("forges_columns", "forge()"),
    _fine("slow_to_leave", "atexit.register(time.sleep, 600)"),
)  # fmt: skip

# what only raises ends no process: one that runs them all shows that each costs itself alone
RAISING = frozenset((
    "import_missing", "import_syntax", "import_exit", "nothing_registered", "hook_signature",
    "name_untypable", "requires_missing", "construct_error", "construct_lines",
    "construct_exit", "construct_recursion", "construct_unsupported", "host_memory",
    "device_memory", "trace_shapes", "wrong_width", "wrong_type", "two_outputs", "lazy_import",
    "nan_loss", "inf_later", "eval_nan",
))  # fmt: skip


def write(folder: Path, plugins: Iterable[Bad] = BAD) -> Iterator[Path]:
    """Writes each plugin to a file of its name."""
    for bad in plugins:
        path = folder / f"{bad.name}.py"
        path.write_text(bad.source(), encoding="utf-8")
        yield path
