"""What only `export` and `deploy` need: whether what is served answers as what was judged."""
