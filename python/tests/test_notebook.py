"""Runs the code cells of every notebook in order, as a kernel would; WAN_ATTN_JAR names the jar."""

import ast
import contextlib
import io
import json
import unittest
from pathlib import Path

NOTEBOOKS = sorted(Path(__file__).parent.parent.glob("notebooks/*.ipynb"))


def run(notebook):
    """Executes a notebook and returns what it printed, and the values of its cells' last lines."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    names, printed, values = {"__name__": "__main__"}, io.StringIO(), []
    for number, cell in enumerate(c for c in cells if c["cell_type"] == "code"):
        tree = ast.parse("".join(cell["source"]), f"{notebook.name}, cell {number}")
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, notebook.name, "exec"), names)
            if last is not None:
                values.append(eval(compile(ast.Expression(last.value), notebook.name, "eval"), names))
    return printed.getvalue(), values


class NotebookTest(unittest.TestCase):
    def test_first_look_finds_the_sink(self):
        printed, values = run(next(n for n in NOTEBOOKS if n.name == "first_look.ipynb"))
        self.assertIn("strongest sink: layer ", printed)
        self.assertEqual(values[0][0], [0, 1, 2, 3, 4, 5])
        self.assertEqual(values[1].shape, (7, 7))

    def test_notebooks_are_stored_without_output(self):
        self.assertTrue(NOTEBOOKS)
        for notebook in NOTEBOOKS:
            for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
                self.assertFalse(cell.get("outputs"), notebook.name)


if __name__ == "__main__":
    unittest.main()
