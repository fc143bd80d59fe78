"""What only the stage `collect` needs: what is kept of each source from one run to the next."""
