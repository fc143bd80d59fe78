"""What is in people's files of examples, looked at before there is a recipe; nothing here is certain."""
