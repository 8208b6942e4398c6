"""Questions that are kept answered: group-bys whose answers move on with the log."""
