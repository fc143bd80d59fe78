"""Task types: one module each, found by its name; `task.py` says what such a module offers."""
