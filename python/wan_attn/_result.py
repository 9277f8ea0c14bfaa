"""Reads result files: safetensors and npz."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}


class Result(Mapping):
    """The tensors of one run by name, and its metadata.

    Attributes:
        path: the file.
        metadata: the fields of the run with their real types (lists, numbers, booleans, strings).
    """

    def __init__(self, path, tensors, metadata):
        self.path = Path(path)
        self.metadata = metadata
        self._tensors = tensors

    def __getitem__(self, name):
        try:
            return self._tensors[name]
        except KeyError:
            near = [n for n in self._tensors if n.split(".")[-1] == str(name).split(".")[-1]]
            hint = f"; there is {', '.join(near[:5])}" if near else ""
            raise KeyError(f"{self.path.name}: no tensor {name}{hint}") from None

    def __iter__(self):
        return iter(self._tensors)

    def __len__(self):
        return len(self._tensors)

    def __repr__(self):
        model = self.metadata.get("model", "?")
        return f"<wan_attn.Result {self.path.name}: {len(self)} tensors, model {model}, layers {self.layers}>"

    @property
    def layers(self):
        """0-based layers with a tensor in the file, ascending."""
        found = {int(m.group(1)) for m in (re.search(r"\blayer(\d+)\.", n) for n in self._tensors) if m}
        return sorted(found)

    @property
    def passes(self):
        """Names of the passes with a tensor in the file, in order."""
        names = [re.match(r"(.+?)\.layer\d+\.", n) for n in self._tensors]
        return list(dict.fromkeys(m.group(1) for m in names if m))

    def frame_logits(self, layer):
        """Mean logits of one layer over the rollout, float32 [heads, query frames, key frames]; NaN for frames that were not attended to."""
        return self[f"layer{layer}.full_frame_attention"]

    def frame_mass(self, layer):
        """Softmax weight per key frame of one layer over the rollout, float32 [heads, query frames, key frames]."""
        return self[f"layer{layer}.full_frame_mass"]

    def mask(self, layer):
        """Which query frame attended to which key frame, bool [query frames, key frames]."""
        return self[f"layer{layer}.mask"].astype(bool)

    def captured(self, pass_name, layer):
        """What one pass captured of one layer: a dict from quantity (``frame_logits``, ...) to array."""
        prefix = f"{pass_name}.layer{layer}."
        found = {n[len(prefix):]: t for n, t in self._tensors.items() if n.startswith(prefix)}
        if not found:
            raise KeyError(f"{self.path.name}: nothing was captured of {pass_name}, layer {layer}; passes: {', '.join(self.passes)}")
        return found


def load(path):
    """Opens a result file that wan-attn wrote: ``.safetensors`` or ``.npz``. Tensors of safetensors are memory-mapped.

    Raises:
        ValueError: if the file has another format or is incomplete.
    """
    path = Path(path)
    with open(path, "rb") as file:
        start = file.read(4)
    return _npz(path) if start == b"PK\x03\x04" else _safetensors(path)


def _npz(path):
    with np.load(path, allow_pickle=False) as arrays:
        tensors = {name: arrays[name] for name in arrays.files}
    raw = tensors.pop("metadata", None)
    return Result(path, tensors, {} if raw is None else json.loads(bytes(raw)))


def _safetensors(path):
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:
            raise ValueError(f"{path}: expected a safetensors or npz file, got a header of {length} bytes in a file of {size}")
        try:
            header = json.loads(file.read(length))
        except ValueError as e:
            raise ValueError(f"{path}: expected a safetensors or npz file, got no header: {e}") from None
    data = np.memmap(path, dtype="u1", mode="r", offset=8 + length) if size > 8 + length else np.zeros(0, "u1")
    metadata = {key: _typed(key, value) for key, value in header.pop("__metadata__", {}).items()}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if not 0 <= begin <= end <= data.size:
            raise ValueError(f"{path}: {name}: bytes {begin} to {end} lie outside the data; is the file complete?")
        piece = data[begin:end]
        if entry["dtype"] == "BF16":  # the upper half of a float32
            array = (piece.view("<u2").astype("<u4") << 16).view("<f4")
        elif entry["dtype"] in _DTYPES:
            array = piece.view(_DTYPES[entry["dtype"]])
        else:
            raise ValueError(f"{path}: {name}: dtype {entry['dtype']} is not known")
        tensors[name] = array.reshape(entry["shape"])
    return Result(path, tensors, metadata)


def _typed(key, text):
    """Text is stored directly, everything else as JSON."""
    if key == "prompt":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
