"""The experiments of the PUMA article, for ``bench_puma.py``."""
