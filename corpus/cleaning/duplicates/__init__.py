"""Documents that say the same, and those that hold a piece of an evaluation text."""
