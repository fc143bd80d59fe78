"""What only the stage `collect` needs: what is kept of each source from one run to the next.

A document that left its source leaves what is kept, too; `docs/operations.md` says how a text is forgotten.
"""
