"""Reads what `spin -t -p -g` prints; one line per step: who made it, and what it changed. Called by run.sh."""
import re
import sys

SCRATCH = {"d", "T", "m", "f", "v", "k", "w", "h", "g", "pl", "any", "fit", "some", "me", "sl", "pos", "top", "stop"}
now: dict[str, str] = {}
before: dict[str, str] = {}
step = who = None


def show() -> None:
    if step is not None:
        changed = [f"{name}={value}" for name, value in now.items() if before.get(name, "0") != value and name not in SCRATCH]
        print(f"{step:>4} {who:12} {' '.join(changed)}")
        before.update(now)


for line in sys.stdin:
    if made := re.match(r"\s*(\d+):\s+proc\s+(\d+) \((\w+):\d+\) ", line):
        if made[1] != step:
            show()
            step, who = made[1], f"{made[3]} {made[2]}"
    elif value := re.match(r"\s+(\S+) = (\S+)", line):
        now[value[1]] = value[2]
    elif line.startswith("  <<<<<START"):
        print("     the cycle:")
show()
