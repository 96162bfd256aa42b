"""`python -m tests.bench.scheduling`: what an event costs the scheduler, with a long queue and with many models (docs/benchmarks.md).

No server and no sockets: the core alone, as the supervisor calls it. Every event is timed by itself; the figures are medians and
99th percentiles of all events of a kind.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
from collections.abc import Callable
from time import perf_counter_ns

from app.scheduler.commands import Grant, Start, Stop
from app.scheduler.core import Scheduler
from app.scheduler.events import Arrived, Event, Exited, Fairness, Left, Ready, Reconfigured, Terms, Ticket
from planners.groups import Group, GroupPlanner
from planners.matrix.planner import MatrixPlanner
from planners.protocol import ModelId, SwapPlanner

QUEUED = 10_000
MODELS = 50


class Timed:
    """A scheduler, and what each of its events has cost, by the kind it is given."""

    def __init__(self, planner: SwapPlanner, models: list[ModelId], fairness: Fairness) -> None:
        self.scheduler = Scheduler(dict.fromkeys(models, Terms()), planner, fairness)
        self.now = 1000.0
        self.last_ticket = 0
        self.leases: list[Ticket] = []
        self.costs: dict[str, list[float]] = {}
        """Kind -> microseconds of each event."""

    def post(self, kind: str, event: Event) -> list[Event]:
        """Tells the scheduler; returns the news that its commands will lead to."""
        self.now += 0.001
        began = perf_counter_ns()
        commands = self.scheduler.handle(event, self.now)
        self.costs.setdefault(kind, []).append((perf_counter_ns() - began) / 1000)
        news: list[Event] = []
        for command in commands:
            match command:
                case Grant(ticket):
                    self.leases.append(ticket)
                case Start(model, generation):
                    news.append(Ready(model, generation))
                case Stop(model, generation):
                    news.append(Exited(model, generation, "stopped"))
                case _:
                    pass
        return news

    def arrive(self, kind: str, model: ModelId) -> list[Event]:
        """Lets a request come."""
        self.last_ticket += 1
        return self.post(kind, Arrived(Ticket(self.last_ticket), model))


def long_queue(rounds: int) -> dict[str, list[float]]:
    """One model of fifty serves, and ten thousand requests wait for the others."""
    models = [ModelId(f"m{number:02}") for number in range(MODELS)]
    timed = Timed(GroupPlanner([], models), models, Fairness(max_queued=2 * QUEUED))
    for event in timed.arrive("", models[0]):
        timed.post("", event)
    chance = random.Random(1)
    waiting: list[Ticket] = []
    while len(waiting) < QUEUED:
        timed.arrive("", chance.choice(models[1:]))
        waiting.append(Ticket(timed.last_ticket))
    timed.costs.clear()
    for _ in range(rounds):
        timed.arrive("a request joins the queue", chance.choice(models[1:]))
        waiting.append(Ticket(timed.last_ticket))
        timed.post("a waiting client leaves", Left(waiting.pop(chance.randrange(len(waiting)))))
        timed.arrive("a request for the ready model", models[0])
        timed.post("such a request ends", Left(timed.leases.pop()))
    # Now every model has its turn: each event looks at all that waits.
    for lease in timed.leases[:-1]:
        timed.post("a request of the only resident ends", Left(lease))
    for _ in range(MODELS - 1):
        last = timed.leases[-1]
        timed.leases = []
        (gone,) = timed.post("the last one ends: evict it", Left(last))
        (ready,) = timed.post("it is gone: start the next", gone)
        timed.post(f"that is ready: grant some {QUEUED // MODELS} tickets", ready)
        for lease in timed.leases[:-1]:
            timed.post("a request of the only resident ends", Left(lease))
    return timed.costs


def many_residents(rounds: int) -> dict[str, list[float]]:
    """Forty models are ready beside each other, and another one wants the place of some of them."""
    models = [ModelId(f"{letter}{number}") for letter in "abcd" for number in range(1, 21)]
    residents, wanted = models[:40], models[60]
    together = GroupPlanner([Group("together", tuple(models), swap=False)], models)
    lots = Group("lots", tuple(residents), swap=False)
    expression = "&".join("(" + "|".join(models[first : first + 20]) + ")" for first in range(0, 80, 20))
    planners: dict[str, SwapPlanner] = {
        "groups: forty go for one": GroupPlanner([lots], models),
        "matrix (a1|…|a20)&(b1|…|b20)&(c1|…|c20)&(d1|…|d20)": MatrixPlanner({}, {}, {"set": expression}, models),
    }
    found: dict[str, list[float]] = {}
    for name, planner in planners.items():
        for _ in range(rounds):
            timed = Timed(together, models, Fairness())
            for model in residents:
                for event in timed.arrive("", model):
                    timed.post("", event)
            for lease in timed.leases:
                timed.post("", Left(lease))
            # With the planner that is measured so many would not have come together.
            timed.post("", Reconfigured(dict.fromkeys(models, Terms()), planner, Fairness()))
            news = timed.arrive(name, wanted)
            assert any(isinstance(event, Exited) for event in news), "nothing was swapped"
            found.setdefault(name, []).extend(timed.costs[name])
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scheduling", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="of each measurement (default: %(default)s)")
    rounds = parser.parse_args().rounds
    gc.collect()
    gc.freeze()
    print(f"{'event':<62}{'count':>8}{'median µs':>12}{'p99 µs':>10}")
    measurements: list[tuple[str, Callable[[], dict[str, list[float]]]]] = [
        (f"{QUEUED} tickets wait for {MODELS - 1} models, one serves", lambda: long_queue(rounds)),
        ("a swap decision", lambda: many_residents(max(rounds // 20, 1))),
    ]
    for title, measure in measurements:
        print(title)
        costs = measure()
        for kind, each in costs.items():
            print(_line(f"  {kind}", each))
        if len(costs) > 2:
            print(_line("  all of these", [cost for each in costs.values() for cost in each]))


def _line(kind: str, costs: list[float]) -> str:
    ranked = sorted(costs)
    return f"{kind:<62}{len(costs):>8}{statistics.median(ranked):>12.1f}{ranked[int(len(ranked) * 0.99)]:>10.1f}"


if __name__ == "__main__":
    main()
