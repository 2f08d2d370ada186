"""What an audit has found."""

from dataclasses import dataclass
from typing import Any

__all__ = ["AuditReport"]

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
        forgotten, as far as it can be estimated. 1 for "replay".
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
