"""Audits of what was forgotten: by attack, or by training again."""
