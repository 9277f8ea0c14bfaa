"""Runs the built-in demo model through the jar; WAN_ATTN_JAR names it."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np

import wan_attn


class WanAttnTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.file = Path(cls.folder.name, "run.safetensors")
        cls.result = wan_attn.extract(layer=[1, 2], num_frames=4, what="frame-logits,frame-mass", quiet=True, output=cls.file)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_extract_gives_arrays_by_name(self):
        self.assertEqual(self.result.layers, [1, 2])
        self.assertEqual(self.result.frame_logits(1).shape, (12, 4, 4))
        self.assertEqual(self.result.passes, ["block0.step0", "block1.step0"])
        self.assertTrue(np.isnan(self.result.frame_logits(1)[:, 0, 1]).all())
        np.testing.assert_allclose(np.nansum(self.result.frame_mass(2), axis=-1), 1, atol=1e-5)

    def test_mask_says_what_was_attended(self):
        np.testing.assert_array_equal(self.result.mask(1), ~np.isnan(self.result.frame_logits(1)[0]))

    def test_metadata_has_real_types(self):
        self.assertEqual(self.result.metadata["num_frames"], 4)
        self.assertEqual(self.result.metadata["block_sizes"], [1, 3])
        self.assertIs(self.result.metadata["is_logits"], True)

    def test_captured_gives_one_pass(self):
        captured = self.result.captured("block1.step0", layer=2)
        self.assertEqual(sorted(captured), ["frame_logits", "frame_mass"])
        np.testing.assert_array_equal(captured["frame_logits"][0], self.result.frame_logits(2)[:, 1:])
        with self.assertRaisesRegex(KeyError, "passes: block0.step0"):
            self.result.captured("block7.step0", layer=2)

    def test_npz_is_the_same(self):
        npz = wan_attn.extract(layer=[1, 2], num_frames=4, what="frame-logits,frame-mass", quiet=True, output=self.file.with_suffix(".npz"))
        self.assertEqual(sorted(npz), sorted(self.result))
        for name in npz:
            np.testing.assert_array_equal(npz[name], self.result[name])
        self.assertEqual(npz.metadata["timesteps"], self.result.metadata["timesteps"])

    def test_without_output_nothing_is_left(self):
        before = set(os.listdir(tempfile.gettempdir()))
        run = wan_attn.extract(layer=1, num_frames=1, quiet=True)
        self.assertEqual(run["layer1.full_frame_attention"].shape, (12, 1, 1))
        left = {name for name in set(os.listdir(tempfile.gettempdir())) - before if name.startswith("wan-attn-")}
        self.assertEqual(left, set())

    def test_failure_is_the_programs_line(self):
        with self.assertRaisesRegex(wan_attn.WanAttnError, "layer") as raised:
            wan_attn.extract(layer=99, quiet=True)
        self.assertEqual(raised.exception.exit_code, 2)

    def test_progress_in_a_notebook_is_one_line(self):
        err = io.StringIO()
        with unittest.mock.patch.dict(sys.modules, {"ipykernel": object()}), contextlib.redirect_stderr(err):
            wan_attn.extract(layer=1, num_frames=4, latent_size="4x4")
        lines = [line for line in err.getvalue().split("\n") if "  layer " in line]
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].startswith("\r"))

    def test_load_refuses_what_is_no_result(self):
        other = Path(self.folder.name, "other.bin")
        for content in [b"", b"hello, this is no such file", (8).to_bytes(8, "little") + b"{not it}"]:
            other.write_bytes(content)
            with self.assertRaises(ValueError):
                wan_attn.load(other)
        header = json.dumps({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
        other.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
        with self.assertRaisesRegex(ValueError, "outside the data"):
            wan_attn.load(other)


if __name__ == "__main__":
    unittest.main()
