"""What callers pass in is checked, and what is wrong is said."""
