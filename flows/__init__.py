"""How stages chain, and the command that runs them: the top of the import order."""
