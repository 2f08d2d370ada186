"""
Forget documents, and their words
=================================

A vocabulary is learnt from documents as well. A word that only one author used stays in
it after the author's documents are gone, if the vectoriser stands outside the wrapper.
Inside, each shard learns its vocabulary again, and the word is unknown.

The documents are docstrings of the scientific libraries that are installed here anyway.
The task is to say which library a docstring is from; the authors are the modules.
"""

import importlib
import inspect

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skunlearn import ShardedUnlearningClassifier

MODULES = {
    "numpy": ["linalg", "random", "fft", "ma"],
    "scipy": ["special", "stats", "linalg", "signal", "optimize", "ndimage", "sparse"],
    "sklearn": ["cluster", "datasets", "ensemble", "linear_model", "metrics", "utils"],
}

# %%
# Documents
# ---------
# The first words of each docstring, in which the names of the libraries are hidden.

documents, libraries, modules = [], [], []
names = [f"{library}.{part}" for library, parts in MODULES.items() for part in parts]
for name in names:
    module = importlib.import_module(name)
    for member in sorted(set(dir(module))):
        text = inspect.getdoc(getattr(module, member, None)) or ""
        if len(text) > 200 and not member.startswith("_"):
            for library in ("numpy", "scipy", "sklearn", "scikit-learn"):
                text = text.replace(library, "").replace("np.", "")
            documents.append(text[:800])
            libraries.append(name.partition(".")[0])
            modules.append(name)
documents, libraries, modules = map(np.array, (documents, libraries, modules))
print(f"{len(documents)} documents")
train, test = train_test_split(np.arange(len(documents)), random_state=0)

# %%
# Fit
# ---
# A document is a row of one text: no second dimension is needed.

model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10.0))
classifier = ShardedUnlearningClassifier(model, n_shards=4, random_state=0)
classifier.fit(documents[train], libraries[train])
alone = model.fit(documents[train], libraries[train])
for name, fitted in (("alone", alone), ("four shards", classifier)):
    print(f"accuracy, {name}: {fitted.score(documents[test], libraries[test]):.3f}")

# %%
# Words that only one module uses
# -------------------------------
# A mask over the documents of ``fit`` names those of a module.


def list_words():
    """Return all words that any constituent knows."""
    vocabularies = [shard[0].vocabulary_ for shard in classifier.estimators_]
    return set().union(*vocabularies)


gone = "scipy.special"
before = list_words()
record = classifier.forget(modules[train] == gone).forget_records_[-1]
after = list_words()
print(record)
own = sorted(word for word in before - after if word.isalpha())
print(f"{len(own)} words are unknown now, among them:", *own[::25][:12])

# %%
# The vectoriser of the model alone, fitted to the same documents, knows them for ever.

left = [word for word in own if word in alone[0].vocabulary_]
print(f"{len(left)} of them are in the vocabulary of the model alone")

# %%
# Module after module is forgotten, and the vocabulary shrinks with them. Outside the
# wrapper it would stay as it was.

known, rows = [len(before), len(after)], [len(train), len(classifier.retained_indices_)]
for name in ("scipy.stats", "sklearn.datasets", "numpy.ma", "scipy.signal"):
    classifier.forget(modules[train] == name)
    known.append(len(list_words()))
    rows.append(len(classifier.retained_indices_))

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
axes.plot(rows, known, "o-", label="inside the wrapper")
axes.axhline(len(alone[0].vocabulary_), color="C1", ls="--", label="outside")
axes.set(
    xlabel="documents retained",
    ylabel="words known",
    title="The vocabulary forgets with the documents",
)
axes.invert_xaxis()
axes.legend()
plt.show()
