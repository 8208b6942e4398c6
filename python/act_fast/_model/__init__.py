"""State classes as one app runs them: fold, decide, encode."""
