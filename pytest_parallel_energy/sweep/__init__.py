"""Many experiments as one: what files ask for, in which order, what is known and done already, and what is left."""
