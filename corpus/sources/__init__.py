"""Where text comes from; each module is one kind of source with its own config."""
