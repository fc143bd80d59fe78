"""What all stages share: the stage itself, its artifacts and their store, child processes, the terminal."""
