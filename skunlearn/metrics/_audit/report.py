"""What an audit has found."""

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["AuditReport", "conclude", "conclude_replay", "tell_retained"]

_LITTLE_POWER = 0.1


@dataclass(frozen=True)
class AuditReport:
    """What :func:`~skunlearn.metrics.audit_forget` has found.

    Parameters
    ----------
    method : {"attack", "replay"}
        How the classifier was audited.
    test : str
        What was compared: "replay", "three-sample" or "likelihood".
    flagged : bool
        Whether there is evidence that the classifier still knows the rows.
    p_values : dict of str to float
        The p-value of each statistical test, for the hypothesis that the rows are
        forgotten. Empty for "replay", which is no statistical test.
    power : float
        Probability that rows like these would be flagged if they had not been
        forgotten, as far as it can be estimated. For "replay", it is 1 for exact
        unlearning, and otherwise nan where a bound of the distance to a retrained
        classifier was checked, and 0 where none is known.
    alpha : float
        Level of the audit: the tests are flagged at `alpha` divided by their number.
    n_rows : int
        Number of rows in question.
    findings : tuple of str
        Sentences about what was found, without values of rows.

    Examples
    --------
    >>> from skunlearn.metrics import AuditReport
    >>> p_values = {"loss": 0.4}
    >>> print(AuditReport("attack", "likelihood", False, p_values, 0.0, 0.01, 3, ()))
    not flagged, with no power: 3 rows, likelihood test, smallest p-value 0.4
    """

    method: str
    test: str
    flagged: bool
    p_values: dict[str, float]
    power: float
    alpha: float
    n_rows: int
    findings: tuple[str, ...]

    def __str__(self) -> str:
        """Return a sentence for people."""
        verdict = "flagged" if self.flagged else "not flagged"
        if self.power < _LITTLE_POWER and not self.flagged:
            verdict += ", with no power"
        words = [f"{self.n_rows} rows", f"{self.test} test"]
        if self.p_values:
            words.append(f"smallest p-value {min(self.p_values.values()):.2g}")
            if self.power >= _LITTLE_POWER:
                words.append(f"power {self.power:.2f}")
        return ". ".join([f"{verdict}: {', '.join(words)}", *self.findings])


def conclude(
    test: str, p_values: dict[str, float], power: float, alpha: float, n_rows: int
) -> AuditReport:
    """Return the report of statistical tests."""
    flagged = bool(min(p_values.values()) <= alpha / len(p_values))
    findings: list[Any] = []
    if power < _LITTLE_POWER:
        findings.append(
            "No power: such an audit would not notice if these rows had not been "
            "forgotten. Audit more rows, or use method='replay' where it is possible"
        )
    return AuditReport(
        "attack", test, flagged, p_values, power, alpha, n_rows, tuple(findings)
    )


def conclude_replay(
    n_rows: int, wrong: list[str], notes: list[str], power: float
) -> AuditReport:
    """Return the report of a training done again: what is wrong, and what else."""
    findings = tuple(wrong + notes)
    return AuditReport(
        "replay", "replay", bool(wrong), {}, power, 0.0, n_rows, findings
    )


def tell_retained(rows: Any, positions: np.ndarray) -> list[str]:
    """Say how many of some rows were not forgotten."""
    n_left = int(rows.retained[positions].sum())
    if not n_left:
        return []
    n_rows = len(positions)
    return [f"{n_left} of {n_rows} rows are retained: they were not forgotten"]
