"""MLflow: the registry, runs and their figures, model cards, stored models, its server and who may ask it."""
