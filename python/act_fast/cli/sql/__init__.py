"""The SQL shell, and how an answer is shown."""
