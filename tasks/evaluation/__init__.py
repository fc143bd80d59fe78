"""What only the stage `evaluate` needs: the gate, and what a test set says about a difference."""
