"""What classifiers minimise, as functions of parameters and row weights."""
