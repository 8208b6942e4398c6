"""The log as its users see it, one file for each verb, and what it must survive."""
