"""Repair, filters, personal data, duplicates; `engine/` puts them over a corpus, shard by shard."""
