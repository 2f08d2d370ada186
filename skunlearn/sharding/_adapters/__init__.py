"""What is known of some estimator classes, to train and to ask many of them faster."""
