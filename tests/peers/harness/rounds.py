"""The order of measuring.

A machine's speed drifts: it heats up, its neighbours come and go. Therefore every system runs once a round, in short slices
close to each other, and the order is turned by one place each round, so that nobody always runs first or after the same
neighbour. Medians over the rounds then compare like with like.
"""

from __future__ import annotations

from typing import Callable, TypeVar

from harness.build import tell

Item = TypeVar("Item")
Figure = TypeVar("Figure")


def turned(items: list[Item], places: int) -> list[Item]:
    """`items` beginning `places` later, those before it at the end."""
    places %= len(items)
    return items[places:] + items[:places]


def interleave(items: list[Item], rounds: int, measure: Callable[[Item], Figure]) -> list[list[Figure]]:
    """Measures each item once a round; returns the figures of each item, those of one round at the same place."""
    figures: list[list[Figure]] = [[] for _ in items]
    for number in range(rounds):
        tell(f"round {number + 1} of {rounds}")
        for place in turned(list(range(len(items))), number):
            figures[place].append(measure(items[place]))
    return figures
