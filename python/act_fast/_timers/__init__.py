"""What is to happen later: timers, and what comes again and again."""
