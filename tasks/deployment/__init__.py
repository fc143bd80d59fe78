"""What only the stage `deploy` needs: whether Triton serves what was deployed."""
