"""Pages of web sites: which there are, fetched as a polite guest, kept as they were."""
