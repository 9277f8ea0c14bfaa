"""Starts the program."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ._result import load

# The progress lines of the program: 3/20  block0.step2  frame 0  layer 6/6  12.3 GFLOP/s  00:04 left, or without the time at first
_PROGRESS = re.compile(r"\d+/\d+  .*  layer \d+/\d+  ")


class WanAttnError(RuntimeError):
    """The program failed; the message is its own line. ``exit_code`` is 1 for a failure, 2 for bad usage, 130 when stopped."""

    def __init__(self, message, exit_code):
        super().__init__(message)
        self.exit_code = exit_code


def find_jar(jar=None):
    """The jar: the argument, WAN_ATTN_JAR, or wan-attn.jar in the current folder or one above it.

    Raises:
        FileNotFoundError: if there is none.
    """
    named = jar or os.environ.get("WAN_ATTN_JAR")
    if named:
        if not Path(named).is_file():
            raise FileNotFoundError(f"{named}: expected wan-attn.jar, got no file")
        return Path(named)
    for folder in [Path.cwd(), *Path.cwd().parents]:
        if (folder / "wan-attn.jar").is_file():
            return folder / "wan-attn.jar"
    raise FileNotFoundError("wan-attn.jar: not in this folder or above it; name it with jar=... or WAN_ATTN_JAR")


def extract(*, jar=None, java="java", **options):
    """Runs ``wan-attn extract`` and returns its result.

    Args:
        jar: path of wan-attn.jar; see ``find_jar``.
        java: the command that starts it; any Java from 17.
        **options: options of ``extract`` with underscores for hyphens. True gives the bare option, False and None leave it out,
            a list is joined by commas.

    Returns:
        A ``Result``. Without ``output``, the file is in a temporary folder, which is removed when this function returns.

    Raises:
        WanAttnError: if the program fails.
    """
    if options.get("output") is not None:
        _run(jar, java, options)
        return load(options["output"])
    with tempfile.TemporaryDirectory(prefix="wan-attn-") as folder:
        output = Path(folder, "run.safetensors")
        _run(jar, java, {**options, "output": output})
        result = load(output)
        result._tensors = {name: tensor.copy() for name, tensor in result.items()}
        return result


def _run(jar, java, options):
    command = [java, "-jar", str(find_jar(jar)), "extract", *_arguments(options)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace")
    last = ""
    try:
        progress = False
        for line in process.stderr:
            again = _notebook() and _PROGRESS.match(line) is not None
            if progress and not again:
                sys.stderr.write("\n")
            sys.stderr.write("\r" + line.rstrip("\n") if again else line)  # one updating line
            sys.stderr.flush()
            progress = again
            last = line.strip() or last
        if progress:
            sys.stderr.write("\n")
        code = process.wait()
    except BaseException:
        process.terminate()  # it keeps its finished work and ends
        process.wait()
        raise
    finally:
        process.stderr.close()
    if code != 0:
        raise WanAttnError(last.removeprefix("wan-attn: "), code)


def _notebook():
    return "ipykernel" in sys.modules


def _arguments(options):
    arguments = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(option)
        elif value is not None and value is not False:
            text = ",".join(map(str, value)) if isinstance(value, (list, tuple, range)) else str(value)
            arguments.append(f"{option}={text}")
    return arguments
