"""Processes that take turns at one machine, so that its noise and its clock are the same for all.

A contestant is a process that writes a line with its name once it is warm, and then, for every
line with a number of calls that it reads, one with the seconds that these took.
"""

import os
import random
import statistics
import subprocess
import sys
import time

TURNS = 25
# Seconds of a turn, and before one: what a thread pool spins after its work is over by then.
TURN, PAUSE = 0.15, 0.02


class Contestant:
    def __init__(self, command):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.name = self.read()
        self.calls = 1
        while (taken := self.time()) < TURN / 2:
            self.calls = max(self.calls + 1, int(self.calls * min(10, TURN / taken)))
        self.seconds = []

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} has ended: {self.process.wait()}")
        return line.strip()

    def time(self):
        self.process.stdin.write(f"{self.calls}\n")
        self.process.stdin.flush()
        return float(self.read())

    def turn(self):
        time.sleep(PAUSE)
        self.seconds.append(self.time() / self.calls)


def take_turns(name, call):
    """What a contestant that is written in Python does."""
    for _ in range(20):
        call()
    print(name, flush=True)
    for line in sys.stdin:
        begin = time.perf_counter()
        for _ in range(int(line)):
            call()
        print(time.perf_counter() - begin, flush=True)


def compare(step_time, peers, threads=1):
    """Prints the median microseconds a call of `step_time` with these arguments and of the peers,
    each a command, and the quartiles of a peer's time over ours in the same turn."""
    example = ["--release", "--quiet", "--example", "step_time"]
    subprocess.run(["cargo", "build", *example], check=True)
    # JAX makes a thread for each CPU that it may run on.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    ours = ["cargo", "run", *example, "--", *step_time, "--turns"]
    contestants = [Contestant(command) for command in (ours, *peers)]
    for _ in range(TURNS):
        for contestant in random.sample(contestants, len(contestants)):
            contestant.turn()
    for contestant in contestants:
        line = f"{contestant.name}: {statistics.median(contestant.seconds) * 1e6:.2f} us"
        if contestant is not contestants[0]:
            pairs = zip(contestant.seconds, contestants[0].seconds)
            low, middle, high = statistics.quantiles((peer / own for peer, own in pairs), n=4)
            line += f", {middle:.3f} times ours ({low:.3f} to {high:.3f})"
        print(line)
