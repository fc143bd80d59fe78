"""`python -m flows` is the command `textmill`, where that is not on the path."""

from flows.cli import main

if __name__ == "__main__":
    main()
