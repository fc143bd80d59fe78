"""A process that cleans a corpus: shard passes on this machine or on Ray, and what is written of it."""
