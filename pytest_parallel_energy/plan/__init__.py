"""What was asked for: options, settings, markers, cells, their order, and what is known or finished already."""
