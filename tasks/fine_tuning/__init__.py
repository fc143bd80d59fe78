"""What only the stage `fine_tune` needs: several trainings, the search for settings, early checks."""
