"""Search spaces, drawing, and names for what was drawn."""
