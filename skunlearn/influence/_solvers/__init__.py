"""Newton steps, to the optimum of all rows and on from there."""
