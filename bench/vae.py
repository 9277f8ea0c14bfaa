"""Decodes latents with random weights of the real size, by wan-attn and by PyTorch, in turns, on the same threads.

    python3 bench/vae.py --jar wan-attn.jar                  # 480 x 832, at most 12 minutes; needs PyTorch, 5 GB for ours and 10 GB for PyTorch

Prints seconds per frame and peak memory of both, and how far the videos are apart; then what 21 latent frames, Wan's 81 frames, take: the first
latent frame, which is one frame and warms up, and twenty times the mean of the others that were measured. PyTorch does what Wan's own code does:
one latent frame at a time, causal convolutions over the present frames and two cached ones. While one computes, the other is stopped. When the
next latent frame would not end within --minutes, the ones before it are what is reported.
"""

import argparse
import json
import os
import resource
import signal
import struct
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F

WHOLE = 21  # latent frames of the videos that Wan was trained for
MEAN = [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508]
MEAN += [0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921]
STD = [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743]
STD += [3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160]


def decoder_shapes(width):
    """Names and shapes of the decoder's parameters, as in Wan2.1_VAE.pth."""
    shapes = {}

    def conv(name, out, inp, *kernel):
        shapes[name + ".weight"] = (out, inp, *kernel)
        shapes[name + ".bias"] = (out,)

    def residual(name, inp, out):
        shapes[name + ".residual.0.gamma"] = (inp, 1, 1, 1)
        conv(name + ".residual.2", out, inp, 3, 3, 3)
        shapes[name + ".residual.3.gamma"] = (out, 1, 1, 1)
        conv(name + ".residual.6", out, out, 3, 3, 3)
        if inp != out:
            conv(name + ".shortcut", out, inp, 1, 1, 1)

    conv("conv2", 16, 16, 1, 1, 1)
    top = 4 * width
    conv("decoder.conv1", top, 16, 3, 3, 3)
    residual("decoder.middle.0", top, top)
    shapes["decoder.middle.1.norm.gamma"] = (top, 1, 1)
    conv("decoder.middle.1.to_qkv", 3 * top, top, 1, 1)
    conv("decoder.middle.1.proj", top, top, 1, 1)
    residual("decoder.middle.2", top, top)
    index = 0
    inp = top
    for level, out in enumerate([4 * width, 4 * width, 2 * width, width]):
        for _ in range(3):
            residual(f"decoder.upsamples.{index}", inp, out)
            inp = out
            index += 1
        if level < 3:
            conv(f"decoder.upsamples.{index}.resample.1", out // 2, out, 3, 3)
            if level < 2:
                conv(f"decoder.upsamples.{index}.time_conv", 2 * out, out, 3, 1, 1)
            inp = out // 2
            index += 1
    shapes["decoder.head.0.gamma"] = (width, 1, 1, 1)
    conv("decoder.head.2", 3, width, 3, 3, 3)
    return shapes


def random_weights(width):
    torch.manual_seed(1)
    weights = {}
    for name, shape in decoder_shapes(width).items():
        if name.endswith("gamma"):
            weights[name] = 1 + 0.1 * torch.randn(shape)
        elif name.endswith("bias"):
            weights[name] = 0.1 * torch.randn(shape)
        else:
            weights[name] = torch.randn(shape) / float(torch.tensor(shape[1:]).prod()) ** 0.5
    return weights


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


class Decoder:
    """The decoder with its caches, one latent frame per call: [16, 1, h, w] to [3, 1 or 4, 8 h, 8 w]."""

    def __init__(self, weights):
        self.w = weights
        self.cache = {}

    def conv(self, name, x):
        return F.conv3d(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def causal(self, name, x):
        past = self.cache.get(name)
        if past is None:
            past = x.new_zeros(1, x.shape[1], 2, *x.shape[3:])
        whole = torch.cat([past, x], 2)
        self.cache[name] = whole[:, :, -2:].clone()
        return F.conv3d(whole, self.w[name + ".weight"], self.w[name + ".bias"], padding=(0, 1, 1))

    def norm(self, name, x):
        gamma = self.w[name + ".gamma"]
        return F.normalize(x, dim=1) * x.shape[1] ** 0.5 * gamma

    def residual(self, name, x):
        h = self.causal(name + ".residual.2", F.silu(self.norm(name + ".residual.0", x)))
        h = self.causal(name + ".residual.6", F.silu(self.norm(name + ".residual.3", h)))
        return h + (self.conv(name + ".shortcut", x) if name + ".shortcut.weight" in self.w else x)

    def attention(self, name, x):
        frames = x[0].transpose(0, 1)
        qkv = F.conv2d(self.norm(name + ".norm", frames), self.w[name + ".to_qkv.weight"], self.w[name + ".to_qkv.bias"])
        q, k, v = qkv.flatten(2).transpose(1, 2).chunk(3, -1)
        mixed = torch.softmax(q @ k.transpose(1, 2) * q.shape[-1] ** -0.5, -1) @ v
        mixed = mixed.transpose(1, 2).reshape(frames.shape)
        out = F.conv2d(mixed, self.w[name + ".proj.weight"], self.w[name + ".proj.bias"])
        return x + out.transpose(0, 1)[None]

    def double_time(self, name, x):
        if name not in self.cache:
            self.cache[name] = None
            return x
        past = self.cache[name]
        past = x.new_zeros(1, x.shape[1], 2, *x.shape[3:]) if past is None else past
        whole = torch.cat([past, x], 2)
        self.cache[name] = whole[:, :, -2:].clone()
        h = self.conv(name, whole)
        c = x.shape[1]
        return torch.stack([h[:, :c], h[:, c:]], 3).flatten(2, 3)

    def double_space(self, name, x):
        frames = F.interpolate(x[0].transpose(0, 1), scale_factor=2, mode="nearest")
        out = F.conv2d(frames, self.w[name + ".weight"], self.w[name + ".bias"], padding=1)
        return out.transpose(0, 1)[None]

    def __call__(self, z):
        shape = (16, 1, 1, 1)
        x = self.conv("conv2", (z * torch.tensor(STD).view(shape) + torch.tensor(MEAN).view(shape))[None])
        x = self.causal("decoder.conv1", x)
        x = self.residual("decoder.middle.0", x)
        x = self.attention("decoder.middle.1", x)
        x = self.residual("decoder.middle.2", x)
        for i in range(15):
            name = f"decoder.upsamples.{i}"
            if name + ".residual.2.weight" in self.w:
                x = self.residual(name, x)
            else:
                if name + ".time_conv.weight" in self.w:
                    x = self.double_time(name + ".time_conv", x)
                x = self.double_space(name + ".resample.1", x)
        return self.causal("decoder.head.2", F.silu(self.norm("decoder.head.0", x)))[0]


class Ours:
    """wan-attn decode, stopped but for the turns it is given."""

    def __init__(self, command, folder, frames):
        self.frames_folder = os.path.join(folder, "frames")
        os.makedirs(self.frames_folder)
        self.peak = 0
        self.process = subprocess.Popen(command + [os.path.join(folder, "latents.safetensors"), "--vae",
                                                   os.path.join(folder, "vae.safetensors"), "--output", self.frames_folder],
                                        start_new_session=True, stdout=subprocess.DEVNULL)

    def turn(self, last_frame):
        """Runs until a frame is there; seconds."""
        start = seen = time.perf_counter()
        os.killpg(self.process.pid, signal.SIGCONT)
        path = os.path.join(self.frames_folder, f"{last_frame:04d}.png")
        while not os.path.exists(path):
            if self.process.poll() is not None:
                raise SystemExit(f"wan-attn ended with {self.process.returncode}")
            time.sleep(0.01)
            if time.perf_counter() - seen > 1:
                seen = time.perf_counter()
                self.note_peak()
        seconds = time.perf_counter() - start
        self.note_peak()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGSTOP)
        return seconds

    def note_peak(self):
        """Of the largest of its processes; the launcher is small. Nothing where one is gone already."""
        children = subprocess.run(["ps", "-o", "pid=", "-s", str(self.process.pid)], capture_output=True, text=True)
        for pid in children.stdout.split():
            try:
                with open(f"/proc/{pid}/status") as status:
                    lines = [line for line in status if line.startswith("VmHWM")]
            except OSError:
                continue
            self.peak = max([self.peak] + [1024 * int(line.split()[1]) for line in lines])

    def end(self):
        """Stops it, with frames to come or not."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jar", default="wan-attn.jar")
    parser.add_argument("--command", help="how to start wan-attn, instead of java -jar JAR")
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--height-width", type=int, nargs=2, default=[480, 832])
    parser.add_argument("--latent-frames", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    height, width = args.height_width
    with tempfile.TemporaryDirectory() as folder:
        weights = random_weights(args.width)
        save(os.path.join(folder, "vae.safetensors"), weights)
        weight_bytes = sum(4 * w.numel() for w in weights.values())
        latents = torch.randn(args.latent_frames, 16, height // 8, width // 8)
        save(os.path.join(folder, "latents.safetensors"), {"latents": latents})
        command = args.command.split() if args.command else ["java", "-jar", args.jar]
        ours = Ours(command + ["decode"], folder, args.latent_frames)
        os.killpg(ours.process.pid, signal.SIGSTOP)
        theirs = Decoder(weights)
        print(f"decoder of {weight_bytes / 1e6:.0f} MB, {height} x {width}, {args.threads} threads, PyTorch {torch.__version__}")
        print("latent frame | ours, s per frame | PyTorch, s per frame | ratio", flush=True)
        last, mine, other = [], [], []
        begin = time.perf_counter()
        for i in range(args.latent_frames):
            before = time.perf_counter()
            count = 1 if i == 0 else 4
            mine.append(ours.turn(4 * i))
            start = time.perf_counter()
            video = theirs(latents[i][:, None])
            other.append(time.perf_counter() - start)
            print(f"{i} | {mine[i] / count:.2f} | {other[i] / count:.2f} | {other[i] / mine[i]:.2f}", flush=True)
            last.append(video[:, -1])
            end = time.perf_counter()
            next_seconds = (end - before) * (4 if i == 0 else 1)
            if i + 1 < args.latent_frames and end - begin + next_seconds > 60 * args.minutes:
                print(f"latent frame {i + 1} would end after {args.minutes:g} minutes and is left out")
                break
        peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name, value in ("ours", ours.peak - weight_bytes), ("PyTorch", peak - weight_bytes):
            print(f"peak resident memory above the weights, {name}: {value / 1e9:.2f} GB ({value / 2**30:.2f} GiB)")
        if len(mine) > 1:
            whole = [t[0] + (WHOLE - 1) * sum(t[1:]) / len(t[1:]) for t in (mine, other)]
            print(f"{WHOLE} latent frames, {4 * WHOLE - 3} frames, extrapolated from the first and {len(mine) - 1} more: ours {whole[0]:.0f} s,"
                  f" PyTorch {whole[1]:.0f} s, ratio {whole[1] / whole[0]:.2f}")
        compare(ours.frames_folder, last)
        ours.end()


def compare(folder, last):
    try:
        from PIL import Image
        import numpy
    except ImportError:
        return
    worst = 0
    for i, frame in enumerate(last):
        with Image.open(os.path.join(folder, f"{4 * i:04d}.png")) as image:
            mine = torch.from_numpy(numpy.array(image)).permute(2, 0, 1).float()
        worst = max(worst, float((mine - (127.5 * frame.clamp(-1, 1) + 127.5)).abs().max()))
    print(f"largest difference of the last frames of each latent frame: {worst:.2f} of 255 (0.5 is rounding)")


if __name__ == "__main__":
    main()
