"""Model families: standard transformers classes, their sizes, and what attention may see."""
