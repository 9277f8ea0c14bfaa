"""PyTorch on the same card: copies, matmuls, attention and whole passes of Wan 1.3B in bf16. One line of JSON per figure."""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from torch_peer import Layer

LAYERS, PASSES, S, DIM, FFN, HEADS, TEXT = 30, 5, 1560, 1536, 8960, 12, 512


def milliseconds(body, runs):
    """The median of single runs, timed by events of the device after a warm-up."""
    for _ in range(3):
        body()
    times = []
    for _ in range(runs):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        body()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def say(case, ms, **more):
    print(json.dumps({"case": case, "ms": round(ms, 4), **more}), flush=True)


def main():
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    torch.set_default_device("cuda")
    bf16 = torch.bfloat16
    print(json.dumps({"peer": f"PyTorch {torch.__version__}", "cuda": torch.version.cuda}), flush=True)

    a = torch.randint(255, (1 << 30,), dtype=torch.uint8)
    b = torch.empty_like(a)
    ms = milliseconds(lambda: b.copy_(a), 20)
    say("copy", ms, gb_per_s=2 * a.numel() / ms / 1e6)
    a, b = (torch.randn(8192, 8192, dtype=bf16) for _ in range(2))
    ms = milliseconds(lambda: a @ b, 20)
    say("ceiling bf16 8192 x 8192 x 8192", ms, tflops=2 * 8192**3 / ms / 1e9)

    for rows in (S, 3 * S):
        for fan_in, fan_out in ((DIM, DIM), (DIM, FFN), (FFN, DIM)):
            x, w = torch.randn(rows, fan_in, dtype=bf16), torch.randn(fan_out, fan_in, dtype=bf16)
            ms = milliseconds(lambda: F.linear(x, w), 50)
            say(f"linear {rows} x {fan_in} -> {fan_out}", ms, tflops=2 * rows * fan_in * fan_out / ms / 1e9)
    for queries, keys in ((S, 3 * S), (3 * S, 3 * S), (3 * S, 12 * S), (3 * S, 21 * S)):
        q, k, v = (torch.randn(1, HEADS, n, DIM // HEADS, dtype=bf16) for n in (queries, keys, keys))
        for name, kind in (("flash", SDPBackend.FLASH_ATTENTION), ("cudnn", SDPBackend.CUDNN_ATTENTION)):
            try:
                with sdpa_kernel(kind):
                    ms = milliseconds(lambda: F.scaled_dot_product_attention(q, k, v), 20)
                say(f"attention {queries} x {keys} by {name}", ms, tflops=4 * queries * keys * DIM / ms / 1e9)
            except RuntimeError as e:
                print(json.dumps({"skipped": f"{name}: {e}"[:200]}), flush=True)
    for frames, keys in ((3, 6), (3, 12), (3, 21)):
        layers = [Layer(frames, keys, S, DIM, FFN, HEADS, TEXT, bf16) for _ in range(LAYERS)]
        for name, kinds in (("flash", [SDPBackend.FLASH_ATTENTION]), ("cudnn", [SDPBackend.CUDNN_ATTENTION])):
            try:
                with sdpa_kernel(kinds):
                    ms = milliseconds(lambda: [layer() for layer in layers], 5)
                say(f"frame block of {frames}, {keys} frames of keys, by {name}", PASSES * ms)
            except RuntimeError as e:
                print(json.dumps({"skipped": f"{name}: {e}"[:200]}), flush=True)
        del layers


if __name__ == "__main__":
    main()
