"""MLflow: the registry, runs and their figures, model cards, stored models, the door of its server."""
