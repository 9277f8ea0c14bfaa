"""Runs wan-attn and reads its results as NumPy arrays.

    import wan_attn
    run = wan_attn.extract(layer=3)
    run["layer3.full_frame_attention"]   # [heads, query frames, key frames]
"""

from ._program import WanAttnError, extract, find_jar
from ._result import Result, load

__all__ = ["Result", "WanAttnError", "extract", "find_jar", "load"]
