"""`hostler engine`: llama.cpp's own HTTP server, out of a wheel, as an upstream command.

The server is that of the PyPI package `xllamacpp`. It listens before it loads, so `/health` says 503 until the model is
there. The binding takes a structure, not a command line; FLAGS maps the names that `llama-server` users type to its
attributes, and a flag without an attribute does not exist here.

Loading holds Python's lock, so no handler of ours could run meanwhile. SIGTERM and SIGINT therefore keep their default
effect, which ends the process at once, loading or not. Nothing is lost by it: the engine keeps no state.

Start time is part of every swap, hence the late imports, and `fit` off where there is nothing to fit to (see `_serve`).
"""

from __future__ import annotations

import argparse
import errno
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from app.errors import HostlerError

EXTRA_MISSING = "needs llama.cpp's server: pip install 'hostler[engine]'"

ON_OFF = {"on": True, "off": False, "1": True, "0": False, "true": True, "false": False}


class EngineError(HostlerError):
    """The engine cannot serve; the message is all the user needs."""


class UsageError(EngineError):
    """The command line makes no sense."""


def _layers(text: str) -> int:
    return {"auto": -1, "all": -2}.get(text) or int(text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _stop(text: str) -> list[str]:
    return [text.replace("\\n", "\n")]


def _on_off(text: str) -> bool:
    return ON_OFF[text.lower()]


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise ValueError(text)
    return port


def _file_text(text: str) -> str:
    return Path(text).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that is the name of a member of one of the binding's enumerations."""

    enumeration: str
    prefix: str
    """What the member's name has before the name that is typed."""
    name: str


def _choice(enumeration: str, prefix: str) -> Callable[[str], Choice]:
    return lambda text: Choice(enumeration, prefix, text)


@dataclass(frozen=True, slots=True)
class Switch:
    """A flag that takes no value and means this one."""

    value: object


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of the command line."""

    names: tuple[str, ...]
    attribute: str
    """Dotted path from the binding's parameters; several are parted by spaces and get the same value."""
    value: Callable[[str], object] | Switch
    """Turns the text into the value, or says what the bare flag means."""
    explanation: str
    bare: str | None = None
    """The text that the flag stands for when it is given without a value; None: a value is required."""


_CACHE_TYPE = _choice("ggml_type", "GGML_TYPE_")

FLAGS: tuple[Flag, ...] = (
    # the model
    Flag(("--model", "-m"), "model.path", str, "the model, a GGUF file"),
    Flag(("--alias", "-a"), "model_alias", _names, "names the model goes by, parted by commas"),
    Flag(("--mmproj", "-mm"), "mmproj.path", str, "multimodal projector, a GGUF file"),
    Flag(("--no-mmproj-offload",), "mmproj_use_gpu", Switch(value=False), "keep the projector off the GPU"),
    Flag(("--chat-template",), "chat_template", str, "Jinja template, or the name of a built-in one"),
    Flag(("--chat-template-file",), "chat_template", _file_text, "file with the Jinja template"),
    Flag(("--jinja",), "use_jinja", Switch(value=True), "use the Jinja engine for templates (default)"),
    Flag(("--no-jinja",), "use_jinja", Switch(value=False), "do not"),
    Flag(
        ("--reasoning-format",),
        "reasoning_format",
        _choice("common_reasoning_format", "COMMON_REASONING_FORMAT_"),
        "none, auto, deepseek or deepseek-legacy",
    ),
    Flag(("--embeddings", "--embedding"), "embedding", Switch(value=True), "serve embeddings"),
    Flag(
        ("--reranking", "--rerank"),
        "pooling_type",
        Switch(Choice("llama_pooling_type", "LLAMA_POOLING_TYPE_", "rank")),
        "serve reranking",
    ),
    Flag(
        ("--pooling",),
        "pooling_type",
        _choice("llama_pooling_type", "LLAMA_POOLING_TYPE_"),
        "none, mean, cls, last or rank",
    ),
    # the network
    Flag(("--host",), "hostnames", _names, "address to listen on (default 127.0.0.1)"),
    Flag(("--port",), "port", _port, "port to listen on (default 8080)"),
    Flag(("--api-key",), "api_keys", _names, "keys that are let in, parted by commas"),
    Flag(("--api-prefix",), "api_prefix", str, "path put before every endpoint"),
    Flag(("--timeout", "-to"), "timeout_read timeout_write", int, "socket time-out in seconds"),
    Flag(("--threads-http",), "n_threads_http", int, "threads that serve requests"),
    Flag(("--metrics",), "endpoint_metrics", Switch(value=True), "serve /metrics"),
    Flag(("--slots",), "endpoint_slots", Switch(value=True), "serve /slots (default)"),
    Flag(("--no-slots",), "endpoint_slots", Switch(value=False), "do not"),
    Flag(("--props",), "endpoint_props", Switch(value=True), "let POST /props change settings"),
    Flag(("--slot-save-path",), "slot_save_path", str, "folder for saved slots"),
    # memory and speed
    Flag(("--ctx-size", "-c"), "n_ctx", int, "tokens of context (default 0: the model's own)"),
    Flag(("--parallel", "-np"), "n_parallel", int, "requests served at once (default -1: four that share the context)"),
    Flag(("--kv-unified", "-kvu"), "kv_unified", Switch(value=True), "one context shared by all requests"),
    Flag(("--threads", "-t"), "cpuparams.n_threads", int, "threads that generate"),
    Flag(("--poll",), "cpuparams.poll", int, "how eagerly idle threads spin, 0 to 100"),
    Flag(("--threads-batch", "-tb"), "cpuparams_batch.n_threads", int, "threads that read prompts"),
    Flag(("--batch-size", "-b"), "n_batch", int, "logical batch, in tokens"),
    Flag(("--ubatch-size", "-ub"), "n_ubatch", int, "physical batch, in tokens"),
    Flag(
        ("--n-gpu-layers", "--gpu-layers", "-ngl"), "n_gpu_layers", _layers, "layers on the GPU: a number, auto or all"
    ),
    Flag(("--main-gpu", "-mg"), "main_gpu", int, "index of the first GPU"),
    Flag(("--split-mode", "-sm"), "split_mode", _choice("llama_split_mode", "LLAMA_SPLIT_MODE_"), "none, layer or row"),
    Flag(("--override-tensor", "-ot"), "tensor_buft_overrides", str, "pattern=buffer type, parted by commas"),
    Flag(("--fit",), "fit_params", _on_off, "on or off: fit the layers to the memory of the GPU"),
    Flag(
        ("--flash-attn", "-fa"),
        "flash_attn_type",
        lambda text: Choice(
            "llama_flash_attn_type",
            "LLAMA_FLASH_ATTN_TYPE_",
            {"on": "enabled", "off": "disabled"}.get(text.lower(), text),
        ),
        "on, off or auto",
        bare="on",
    ),
    Flag(("--cache-type-k", "-ctk"), "cache_type_k", _CACHE_TYPE, "type of the K cache: f16, q8_0, …"),
    Flag(("--cache-type-v", "-ctv"), "cache_type_v", _CACHE_TYPE, "type of the V cache"),
    Flag(("--cache-ram", "-cram"), "cache_ram_mib", int, "MiB for the prompt cache"),
    Flag(("--cache-reuse",), "n_cache_reuse", int, "shortest chunk that is reused by shifting"),
    Flag(("--no-kv-offload", "-nkvo"), "no_kv_offload", Switch(value=True), "keep the cache off the GPU"),
    Flag(("--swa-full",), "swa_full", Switch(value=True), "full-size cache for sliding windows"),
    Flag(("--context-shift",), "ctx_shift", Switch(value=True), "shift the context when it is full"),
    Flag(("--no-context-shift",), "ctx_shift", Switch(value=False), "do not (default)"),
    Flag(
        ("--no-mmap",),
        "load_mode",
        Switch(Choice("llama_load_mode", "LLAMA_LOAD_MODE_", "none")),
        "read the model instead of mapping it",
    ),
    Flag(
        ("--mlock",),
        "load_mode",
        Switch(Choice("llama_load_mode", "LLAMA_LOAD_MODE_", "mlock")),
        "keep the model from being swapped out",
    ),
    Flag(("--numa",), "numa", _choice("ggml_numa_strategy", "GGML_NUMA_STRATEGY_"), "distribute, isolate or numactl"),
    Flag(("--no-warmup",), "warmup", Switch(value=False), "skip the empty run after loading"),
    Flag(("--warmup",), "warmup", Switch(value=True), "do not skip it (default)"),
    # positions
    Flag(
        ("--rope-scaling",),
        "rope_scaling_type",
        _choice("llama_rope_scaling_type", "LLAMA_ROPE_SCALING_TYPE_"),
        "none, linear or yarn",
    ),
    Flag(("--rope-freq-base",), "rope_freq_base", float, "RoPE base frequency"),
    Flag(("--rope-freq-scale",), "rope_freq_scale", float, "RoPE frequency scale"),
    Flag(("--yarn-orig-ctx",), "yarn_orig_ctx", int, "context size the model was trained with"),
    # defaults of requests
    Flag(("--n-predict", "--predict", "-n"), "n_predict", int, "most tokens to generate (default -1: no limit)"),
    Flag(("--reverse-prompt", "-r"), "antiprompt", _stop, "text that ends an answer; \\n is a line feed"),
    Flag(("--seed", "-s"), "sampling.seed", int, "seed; the same seed gives the same answer"),
    Flag(("--temp", "--temperature"), "sampling.temp", float, "temperature"),
    Flag(("--top-k",), "sampling.top_k", int, "keep the k likeliest tokens"),
    Flag(("--top-p",), "sampling.top_p", float, "keep tokens up to this probability"),
    Flag(("--min-p",), "sampling.min_p", float, "drop tokens below this share of the likeliest"),
    Flag(("--repeat-penalty",), "sampling.penalty_repeat", float, "penalty for repeated tokens"),
    Flag(("--repeat-last-n",), "sampling.penalty_last_n", int, "tokens looked back for it"),
    Flag(("--presence-penalty",), "sampling.penalty_present", float, "penalty for tokens that were there"),
    Flag(("--frequency-penalty",), "sampling.penalty_freq", float, "penalty by how often they were there"),
    Flag(("--log-verbosity", "--verbosity", "-lv"), "verbosity", int, "how much is logged, 0 to 5"),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse(argv: Sequence[str]) -> dict[Flag, object]:
    """Returns the value of each flag in *argv*, in the order of FLAGS.

    Raises UsageError: an unknown flag (naming the nearest one), a value that is none, no model.
    """
    parser = _Parser(
        prog="hostler engine",
        description="Serves one model by llama.cpp's own HTTP server, in the foreground.",
        allow_abbrev=False,
    )
    for index, flag in enumerate(FLAGS):
        where = f"flag{index}"
        explanation = flag.explanation.replace("%", "%%")
        if isinstance(flag.value, Switch):
            parser.add_argument(*flag.names, dest=where, action="store_true", default=None, help=explanation)
        elif flag.bare is not None:
            parser.add_argument(*flag.names, dest=where, nargs="?", const=flag.bare, metavar="VALUE", help=explanation)
        else:
            parser.add_argument(*flag.names, dest=where, metavar="VALUE", help=explanation)
    given, unknown = parser.parse_known_args(list(argv))
    if unknown:
        raise UsageError(_unknown(unknown[0]))
    values: dict[Flag, object] = {}
    for index, flag in enumerate(FLAGS):
        text = getattr(given, f"flag{index}")
        if text is None:
            continue
        if isinstance(flag.value, Switch):
            values[flag] = flag.value.value
            continue
        try:
            values[flag] = flag.value(text)
        except (ValueError, KeyError):
            raise UsageError(f"{flag.names[0]} {text}: {flag.explanation}") from None
        except OSError as error:
            raise UsageError(f"{flag.names[0]} {text}: {error.strerror}") from None
    if FLAGS[0] not in values:
        raise UsageError("--model FILE is required")
    return values


def _unknown(text: str) -> str:
    import difflib

    name = text.partition("=")[0]
    if not name.startswith("-"):
        return f"unexpected argument {text!r}"
    known = [known for flag in FLAGS for known in flag.names]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown flag {name}; the nearest is {nearest[0]}"


def params(values: dict[Flag, object], binding: Any) -> Any:
    """Returns the *binding*'s parameters for *values*, other defaults as `llama-server` has them.

    Raises UsageError if a value does not name a member of the enumeration it is of.
    """
    chosen = binding.CommonParams()
    chosen.port = 8080
    # As llama-server: four slots that share one context. The binding's own default is one.
    chosen.n_parallel = -1
    # Fitting loads the model a second time without its weights to see how many layers the GPU holds: half of the start
    # time of a small model, for nothing where there is no GPU.
    chosen.fit_params = any(device["type"].value != 0 for device in binding.get_device_info())
    for flag, value in values.items():
        for path in flag.attribute.split():
            *parents, name = path.split(".")
            owner = chosen
            for parent in parents:
                owner = getattr(owner, parent)
            setattr(owner, name, _value(flag, value, binding))
    if chosen.pooling_type == binding.llama_pooling_type.LLAMA_POOLING_TYPE_RANK:
        chosen.embedding = True
    return chosen


def _value(flag: Flag, value: object, binding: Any) -> object:
    if not isinstance(value, Choice):
        return value
    enumeration = getattr(binding, value.enumeration)
    member = value.prefix + value.name.replace("-", "_").upper()
    if member not in enumeration.__members__:
        raise UsageError(f"{flag.names[0]} {value.name}: {flag.explanation}")
    return enumeration[member]


def _check_port(hosts: Sequence[str], port: int) -> None:
    """Raises EngineError if *port* cannot be listened on; llama.cpp would only say that it "couldn't bind"."""
    for host in hosts:
        if port == 0 or "/" in host:
            continue
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                why = (
                    "is in use by another program" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
                )
                raise EngineError(f"port {port} on {host}: {why}; choose another one with --port") from None


def _serve(argv: Sequence[str]) -> NoReturn:
    values = parse(argv)
    model = Path(str(values[FLAGS[0]]))
    if not model.is_file():
        raise EngineError(f"there is no model file {str(model)!r}")
    try:
        import xllamacpp
    except ModuleNotFoundError as error:
        raise EngineError(EXTRA_MISSING) from error
    except ImportError as error:
        remedy = "; install it: on Debian, apt-get install libgomp1" if "libgomp" in str(error) else ""
        raise EngineError(f"llama.cpp's server cannot be loaded on this machine: {error}{remedy}") from error
    chosen = params(values, xllamacpp)
    _check_port(chosen.hostnames, chosen.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    try:
        server = xllamacpp.Server(chosen)
    except (RuntimeError, ValueError) as error:
        raise EngineError(f"llama.cpp cannot serve {str(model)!r}; its log above says why") from error
    while server:  # pragma: no cover - ended by a signal, which ends the measuring, too
        threading.Event().wait()
    raise AssertionError  # pragma: no cover


def main(argv: Sequence[str]) -> int:
    """Serves until a signal ends the process; returns an exit code only when that cannot begin.

    argv: what follows `hostler engine`. 1: it cannot serve. 2: the command line makes no sense.
    """
    try:
        _serve(argv)
    except EngineError as error:
        sys.stderr.write(f"hostler engine: {error}\n")
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
