"""What a recipe says: every value with its default, its bounds and its meaning, for both sides of a child."""
