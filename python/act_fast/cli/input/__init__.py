"""What the command is given: arguments, stores, apps, conditions, targets."""
