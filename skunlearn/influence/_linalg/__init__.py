"""Blocks of rows, Cholesky factors, conjugate gradients."""
