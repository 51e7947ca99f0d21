"""Search spaces, drawing hyperparameters from them, and labels for the drawn values."""
