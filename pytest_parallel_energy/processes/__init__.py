"""The supervised child: started in its own session, watched by a guard, gone when its owner is gone."""
