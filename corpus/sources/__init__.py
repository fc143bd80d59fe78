"""Where documents come from; each kind of source is one module with its own config."""
