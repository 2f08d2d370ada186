"""The census of 1994, known as "Adult"."""

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

from sklearn.utils import Bunch

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_census"]

_FOLDER = files("skunlearn.datasets") / "data"


def load_census(*, return_X_y: bool = False) -> Any:
    """Load the census income data set ("Adult").

    48,842 persons of a census of the United States in 1994: does somebody earn more
    than 50,000 dollars a year? The file comes with the package, so nothing is
    downloaded.

    =================  ==================================
    Classes                                             2
    Rows per class     37,155 ("<=50K"), 11,687 (">50K")
    Rows                                           48,842
    Columns            14: 6 of numbers and 8 of text
    Missing values     6,465 in 3 columns of text
    =================  ==================================

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return the tuple ``(data, target)`` in place of a
        :class:`~sklearn.utils.Bunch`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame of shape (48842, 14)
            The columns of numbers and of text, the latter with missing values.
        target : Series of shape (48842,)
            The income, "<=50K" or ">50K".
        frame : DataFrame of shape (48842, 15)
            Both together.
        feature_names : list of str
            The names of the columns of `data`.
        target_names : list of str
            The names of the classes.
        DESCR : str
            Authors, licence, and what was changed.

    (data, target) : tuple if ``return_X_y=True``
        The two attributes alone.

    Raises
    ------
    ImportError
        If pandas is not installed.

    Notes
    -----
    The data are licensed under `CC BY 4.0
    <https://creativecommons.org/licenses/by/4.0/>`_. 57 rows are repeated, so that to
    forget a row does not always mean to forget all that is like it.

    References
    ----------
    .. [1] B. Becker and R. Kohavi, "Adult", UCI Machine Learning Repository, 1996.
       :doi:`10.24432/C5XW20`

    Examples
    --------
    >>> from skunlearn.datasets import load_census
    >>> X, y = load_census(return_X_y=True)
    >>> X.shape
    (48842, 14)
    >>> X.columns[:4].tolist()
    ['age', 'workclass', 'fnlwgt', 'education']
    >>> y.value_counts().tolist()
    [37155, 11687]
    """
    frame = _read_frame()
    X, y = frame.drop(columns="income"), frame["income"]
    if return_X_y:
        return X, y
    return Bunch(
        data=X,
        target=y,
        frame=frame,
        feature_names=list(X.columns),
        target_names=["<=50K", ">50K"],
        DESCR=(_FOLDER / "README.md").read_text("utf-8"),
    )


def _read_frame() -> "pd.DataFrame":
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "load_census returns data frames of pandas, which is not installed: "
            "python -m pip install pandas"
        ) from error
    with as_file(_FOLDER / "census.csv.bz2") as path:
        return pd.read_csv(path)
