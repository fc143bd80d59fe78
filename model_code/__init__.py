"""Training, evaluation and export in torch; runs on a machine that has nothing else of ours."""
