"""The supervised child process: started in its own session and killed when its owner ends."""
