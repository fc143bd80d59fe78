"""Token shards, the vocabulary, and batches in an order that depends on seed and step only."""
