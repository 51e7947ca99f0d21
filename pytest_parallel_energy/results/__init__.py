"""Records: what is known about each attempt, how it is kept, summed up and reported."""
