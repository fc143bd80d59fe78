"""What was read of the sources, kept from one run to the next, with a ledger of every item and record."""
