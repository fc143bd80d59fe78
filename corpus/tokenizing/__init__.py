"""How text becomes tokens: the division of the corpus, its tokenizer, exact fast encoding, packed shards."""
