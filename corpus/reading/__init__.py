"""Bytes to records: where files are, what they are packed in, how they are encoded, one module a format."""
