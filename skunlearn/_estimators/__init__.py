"""What is known of a wrapped estimator beyond scikit-learn's tags."""
