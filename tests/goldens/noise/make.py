"""Writes torch-cpu.json: what torch.randn draws on the CPU. Runs with Debian's python3-torch (1.13.1, x86-64 with AVX2).

A case is one generator, freshly seeded, and the draws from it in order. Every draw is recorded by the SHA-256 of its
values (float32, little-endian, row-major; bfloat16 is widened) and by its first and last values, which show where a
mismatch begins.
"""

import hashlib
import json
import pathlib

import torch

SHOWN = 17
SEEDS = [0, 1, 42, 123456789, 2**32 - 1, 2**32 + 42, 2**63 - 1, 2**64 - 1]
# One element at a time, both sides of the 16 from which on another kernel is used, tails, and the kept second normal
# of the small draws across all of them.
MIXED = [[1], [2], [15], [16], [17], [1], [31], [3, 5, 7], [33], [], [100], [0], [1000], [2, 3], [7, 11, 13]]
SIZES = [1, 2, 15, 16, 17, 31, 32, 33, 47, 100, 1000]
# The draws of the reference for 21 frames of 480p, one prompt: initial noise, then the first frame block's three.
RUN = [[1, 21, 16, 60, 104]] + 3 * [[3, 16, 60, 104]]
# The same with a first frame of its own, two samples, on a small latent of odd size.
RUN_ODD = [[2, 4, 16, 5, 3]] + 3 * [[2, 16, 5, 3]] + 3 * [[6, 16, 5, 3]]


def draw(generator, shape, dtype):
    values = torch.randn(shape, generator=generator, dtype=dtype).float().reshape(-1)
    shown = [float(v) for v in values] if values.numel() <= 2 * SHOWN else None
    return {
        "shape": shape,
        "sha256": hashlib.sha256(values.numpy().tobytes()).hexdigest(),
        "first": shown if shown is not None else [float(v) for v in values[:SHOWN]],
        "last": [] if shown is not None else [float(v) for v in values[-SHOWN:]],
    }


def case(name, seed, dtype, shapes):
    generator = torch.Generator().manual_seed(seed)
    return {
        "name": name,
        "seed": str(seed),
        "bf16": dtype == torch.bfloat16,
        "draws": [draw(generator, shape, dtype) for shape in shapes],
    }


cases = []
for dtype in (torch.float32, torch.bfloat16):
    cases += [case("mixed", seed, dtype, MIXED) for seed in SEEDS]
    cases += [case("single", 42, dtype, [[size]]) for size in SIZES]
    cases += [case("million", 7, dtype, [[1_000_000], [1]])]
    cases += [case("run", seed, dtype, RUN) for seed in (0, 42)]
    cases += [case("run-odd", 5, dtype, RUN_ODD)]

lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
(pathlib.Path(__file__).parent / "torch-cpu.json").write_text("[\n" + lines + "\n]\n")
