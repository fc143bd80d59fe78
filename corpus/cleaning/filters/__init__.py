"""What is measured of a text, and the thresholds that decide whether it stays."""
