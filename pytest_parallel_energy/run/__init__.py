"""What happens while experiments run: session, host preparation, experiment, loads, conclusion."""
