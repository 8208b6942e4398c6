"""Read models kept up to date by reactions, and how they are rebuilt."""
