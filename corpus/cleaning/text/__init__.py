"""What is known of a text as such: its bytes, characters, units and language, and its repair."""
