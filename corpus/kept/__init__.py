"""What was read of the sources, kept from one run to the next, and the books of it."""
