"""How far parameters can be from the optimum."""
