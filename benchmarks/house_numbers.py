"""How the code is laid out, in numbers: folders, files, functions, and a forget's path.

``python benchmarks/house_numbers.py`` prints a table with the limits.
"""

import ast
import sys
from collections import Counter
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[1] / "skunlearn"
LIMITS = {
    "modules in a folder": 15,
    "lines of a file": 500,
    "lines of a function": 60,
    "median lines of a function": 6,
    "files of a sharded forget": 16,
    "moves of a sharded forget": 110,
    "files of a Newton forget": 18,
    "moves of a Newton forget": 140,
}


def count_function_lines(tree):
    """Yield the lines of each function's body, docstrings aside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            yield body[-1].end_lineno - body[0].lineno + 1 if body else 0


def measure_files():
    """Return the largest values of what can be read from the files."""
    files = list(PACKAGE.rglob("*.py"))
    texts = [path.read_text() for path in files]
    lengths = [n for text in texts for n in count_function_lines(ast.parse(text)) if n]
    folders = Counter(path.parent for path in files if path.name != "__init__.py")
    return {
        "modules in a folder": max(folders.values()),
        "lines of a file": max(text.count("\n") for text in texts),
        "lines of a function": max(lengths),
        "median lines of a function": median(lengths),
    }


def trace(call):
    """Return the files of the package that a call enters, and the moves between."""
    import skunlearn

    home, entered = str(Path(skunlearn.__file__).parent), []  # that which is imported

    def watch(frame, event, argument):
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(home):
            entered.append(name)

    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
    pairs = zip([None, *entered], entered, strict=False)
    return len(set(entered)), sum(a != b for a, b in pairs)


def measure_forgets():
    """Return the path of one forget of two rows, for both classifiers."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

    X, y = load_breast_cancer(return_X_y=True)
    base = LogisticRegression(solver="newton-cholesky")
    classifiers = {
        "sharded": ShardedUnlearningClassifier(base, random_state=0),
        "Newton": InfluenceUnlearningClassifier(base, method="newton"),
    }
    numbers = {}
    for name, classifier in classifiers.items():
        classifier.fit(X, y).forget(0)  # what is done once only is done
        paths = trace(lambda c=classifier: c.forget([7, 42]))
        numbers[f"files of a {name} forget"] = paths[0]
        numbers[f"moves of a {name} forget"] = paths[1]
    return numbers


def main():
    """Print the table."""
    print(f"{'':28} {'now':>6} {'limit':>6}")
    for name, value in (measure_files() | measure_forgets()).items():
        mark = "" if value <= LIMITS[name] else "  above"
        print(f"{name:28} {value:6g} {LIMITS[name]:6}{mark}")


if __name__ == "__main__":
    main()
