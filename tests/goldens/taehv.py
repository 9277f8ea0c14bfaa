"""Makes taehv.safetensors: the small video decoder (TAEHV's layout for Wan2.1) with random weights and narrow layers, and what PyTorch computes with it.

    python3 tests/goldens/taehv.py tests/goldens/taehv.safetensors

All frames go through a layer before the next layer starts, as in the decoder's own code; wan-attn takes one frame at a time.
"""

import json
import struct
import sys

import torch
import torch.nn.functional as F

WIDTHS = [12, 8, 6, 5]
FRAMES = [1, 2, 2]
LATENT = (3, 16, 3, 4)  # frames, channels, rows, columns


def weights():
    w = {}

    def conv(name, out, inp, size, bias=True):
        w[name + ".weight"] = torch.randn(out, inp, size, size) / (inp * size * size) ** 0.5
        if bias:
            w[name + ".bias"] = 0.3 * torch.randn(out)

    conv("decoder.1", WIDTHS[0], LATENT[1], 3)
    for stage, first in enumerate([3, 9, 15]):
        n = WIDTHS[stage]
        for block in range(first, first + 3):
            conv(f"decoder.{block}.conv.0", n, 2 * n, 3)
            conv(f"decoder.{block}.conv.2", n, n, 3)
            conv(f"decoder.{block}.conv.4", n, n, 3)
        conv(f"decoder.{first + 4}.conv", n * FRAMES[stage], n, 1, bias=False)
        conv(f"decoder.{first + 5}", WIDTHS[stage + 1], n, 3, bias=False)
    conv("decoder.22", 3, WIDTHS[3], 3)
    return w


def decode(w, z):
    def conv(name, x):
        return F.conv2d(x, w[name + ".weight"], w.get(name + ".bias"), padding=w[name + ".weight"].shape[-1] // 2)

    x = F.relu(conv("decoder.1", torch.tanh(z / 3) * 3))
    for stage, first in enumerate([3, 9, 15]):
        for block in range(first, first + 3):
            name = f"decoder.{block}.conv."
            before = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
            h = F.relu(conv(name + "0", torch.cat([x, before], 1)))
            x = F.relu(conv(name + "4", F.relu(conv(name + "2", h))) + x)
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = conv(f"decoder.{first + 4}.conv", x)
        x = x.reshape(-1, WIDTHS[stage], *x.shape[2:])
        x = conv(f"decoder.{first + 5}", x)
    return conv("decoder.22", F.relu(x))[3:]


def save(path, tensors):
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + 4 * tensor.numel()]}
        at += 4 * tensor.numel()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.contiguous().numpy().tobytes())


torch.manual_seed(7)
made = {name: tensor.double() for name, tensor in weights().items()}
latents = torch.randn(LATENT)
video = decode(made, latents.double())
save(sys.argv[1], {"latent": latents, "video": video.float(), **{name: tensor.float() for name, tensor in made.items()}})
print(f"{len(made)} tensors, video {list(video.shape)} from {float(video.min()):.2f} to {float(video.max()):.2f}")
