"""Text in; documents, tokens and examples out. Knows nothing of stages, Prefect or MLflow."""
