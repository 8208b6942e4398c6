"""State classes: their reducers, actions and invariants, gathered once."""
