#!/usr/bin/env python3
"""Writes patterns.txt: pattern, text, and whether Python's re finds it there, separated by tabs.

Patterns are made at random from what POSIX, Perl and Python have in common; `$` is Python's \\Z.
"""
import random
import re

COUNT, SEED = 400, 5
SETS = ["ab", "a-c", "^a", "^a-b0", "0-9a", "]a", "^]", "a-", "-a", r"\d_", r"^\w", r"a\]b"]
ESCAPES = [r"\d", r"\w", r"\s", r"\D", r"\W", r"\S", r"\.", r"\*", r"\\", r"\(", r"\[", r"\|", r"\-"]
REPEATS = ["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}", "{0}", "{1,3}", "*?", "+?", "??"]


def atom(depth):
    kind = random.randrange(12)
    if kind < 5:
        return random.choice("abc01 ")
    if kind == 5:
        return "."
    if kind == 6:
        return random.choice(ESCAPES)
    if kind == 7:
        return "[" + random.choice(SETS) + "]"
    return random.choice(["(", "(?:"]) + choice(depth - 1) + ")" if depth else "a"


def repeated(depth):
    return atom(depth) + (random.choice(REPEATS) if random.random() < 0.4 else "")


def choice(depth):
    branches = ["".join(repeated(depth) for _ in range(random.randrange(4))) for _ in range(random.choice([1, 1, 1, 2, 3]))]
    return ("^" if random.random() < 0.15 else "") + "|".join(branches) + ("$" if random.random() < 0.15 else "")


def text():
    letters = random.choice(["abc", "abc01 ", "abc01 _.-x*\\([|A"])
    return "".join(random.choice(letters) for _ in range(random.randrange(8)))


random.seed(SEED)
lines = set()
while len(lines) < COUNT:
    pattern, subject = choice(3), text()
    try:
        found = re.search(pattern.replace("$", r"\Z"), subject, re.DOTALL | re.ASCII)
    except re.error:
        continue
    # Half of them match: what matches everything says little.
    if bool(found) == (len(lines) % 2 == 0):
        lines.add(f"{pattern}\t{subject}\t{int(bool(found))}")
with open(__file__.replace("make-patterns.py", "patterns.txt"), "w") as out:
    out.write("\n".join(sorted(lines)) + "\n")
