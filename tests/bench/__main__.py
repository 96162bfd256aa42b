"""`python -m tests.bench`: what a request costs, direct, through Hostler, nginx and any other server (docs/benchmarks.md)."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from tests.bench import figures, swap
from tests.bench.load import PACE_MS
from tests.bench.targets import ROOT, Open, Target, TargetError, available

WARMUP_S = 0.2


def main() -> int:
    options = _options()
    # A TERM unwinds like an exception, so that the servers go, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    openers = available(os.environ.get("PEER"))
    if unknown := set(options.only or ()) - set(openers):
        sys.exit(f"not here: {', '.join(sorted(unknown))}; there is: {', '.join(openers)}")
    chosen = {name: opener for name, opener in openers.items() if not options.only or name in options.only}
    cells = _cells(options.works, options.connections)
    machine = _machine()
    print(machine, flush=True)
    if psutil.getloadavg()[0] > 0.5 * (psutil.cpu_count() or 1):
        print("the machine is busy with other things: compare the columns, but quote none of them", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
            targets = _start(chosen, Path(folder), stack)
            rounds = [_round(cells, targets, options.seconds) for _ in range(options.rounds)]
            swaps = {
                target.name: swap.measure_swaps(target, options.swaps)
                for target in targets
                if options.swap and target.name in {"hostler", "peer"}
            }
    except TargetError as failed:
        sys.exit(str(failed))
    except KeyboardInterrupt:
        return 130

    print(f"{options.rounds} rounds of {options.seconds:g} s a cell, targets in turn; median (lowest-highest)\n")
    print(figures.table(rounds, cells, list(chosen)))
    for name, measured in swaps.items():
        print(f"\nswap through {name}: {measured}", end="")
    if swaps:
        print()
    if "hostler" in chosen:
        lines = figures.verdicts(rounds, cells, "hostler")
        if "hostler" in swaps:
            lines.append(figures.verdict("swap overhead", swaps["hostler"].overhead(), swap.BUDGET_MS, "ms"))
        print("\n".join(["\nhostler against its budgets:", *(f"  {line}" for line in lines)]) if lines else "")
    if options.layers:
        subprocess.run([sys.executable, "-m", "tests.bench.layers"], check=True, cwd=ROOT)
    if options.json:
        told = {
            "machine": machine,
            "options": {"rounds": options.rounds, "seconds": options.seconds, "pace_ms": PACE_MS},
            "rounds": [
                [{"target": name, **result} for cell in each.results.values() for name, result in cell.items()]
                for each in rounds
            ],
            "swaps": {name: asdict(measured) for name, measured in swaps.items()},
        }
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="measures what a request costs, direct and through proxies",
        epilog="PEER='command with {config} and {listen}' in the environment adds one more server",
    )
    parser.add_argument("--rounds", type=int, default=5, help="passes over all targets (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=0.8, help="of each measurement (default %(default)s)")
    parser.add_argument("--connections", type=int, default=32, help="beside 1 (default %(default)s)")
    parser.add_argument("--works", type=_words, default=["small", "stream", "paced"], help="default small,stream,paced")
    parser.add_argument("--only", type=_words, metavar="NAMES", help="of direct, nginx, hostler, peer")
    parser.add_argument("--swap", action="store_true", help="measure what a swap costs, too")
    parser.add_argument("--swaps", type=int, default=10, metavar="N", help="how many (default %(default)s)")
    parser.add_argument(
        "--no-layers", dest="layers", action="store_false", help="leave out what our own layers cost, on and off"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single figure there")
    return parser.parse_args()


def _words(text: str) -> list[str]:
    return text.split(",")


def _cells(works: Sequence[str], connections: int) -> list[figures.Cell]:
    """A paced stream lasts as long as its events: one connection would tell nothing that many do not."""
    counts = sorted({1, connections})
    return [(kind, count) for kind in works for count in ([connections] if kind == "paced" else counts)]


def _start(openers: Mapping[str, Open], folder: Path, stack: contextlib.ExitStack) -> list[Target]:
    targets = []
    for name, opener in openers.items():
        (own := folder / name).mkdir()
        targets.append(stack.enter_context(opener(own)))
    return targets


def _round(cells: Sequence[figures.Cell], targets: Sequence[Target], seconds: float) -> figures.Round:
    return figures.Round({cell: {target.name: _load(target, cell, seconds) for target in targets} for cell in cells})


def _load(target: Target, cell: figures.Cell, seconds: float) -> figures.Result:
    """Runs the load generator once. Raises TargetError if a single answer was wrong."""
    kind, connections = cell
    command = [sys.executable, "-m", "tests.bench.load", "--port", str(target.port), "--work", kind]
    command += ["--connections", str(connections)]
    if kind == "paced":
        # Whole streams of about a second: a window would cut most of them.
        command += ["--requests", str(connections * max(1, round(seconds)))]
    else:
        command += ["--seconds", str(seconds), "--warmup", str(WARMUP_S)]
    if target.pid is not None:
        command += ["--cpu-of", str(target.pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise TargetError(f"{target.name}, {kind}: {done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout)
    if result["wrong"]:
        raise TargetError(f"{target.name}, {kind}: {result['wrong']} wrong answers, the first: {result['first_wrong']}")
    return result


def _machine() -> str:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    load, _, _ = psutil.getloadavg()
    return (
        f"{psutil.cpu_count()} CPUs ({model}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load average before: {load:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
