"""Metrics of unlearning."""

from skunlearn.metrics._audit.audit import audit_forget
from skunlearn.metrics._audit.report import AuditReport
from skunlearn.metrics._costs import retraining_cost_scorer
from skunlearn.metrics._discovery import discovery_curve
from skunlearn.metrics._distance import RetrainDistance, retrain_distance
from skunlearn.metrics._membership import MembershipScore, membership_inference_score
from skunlearn.metrics._report import ForgetReport, forget_report
from skunlearn.metrics._resistance import resistance_score
from skunlearn.metrics._traces.search import Trace, find_traces

__all__ = [
    "AuditReport",
    "ForgetReport",
    "MembershipScore",
    "RetrainDistance",
    "Trace",
    "audit_forget",
    "discovery_curve",
    "find_traces",
    "forget_report",
    "membership_inference_score",
    "resistance_score",
    "retrain_distance",
    "retraining_cost_scorer",
]


def __dir__() -> list[str]:
    return __all__
