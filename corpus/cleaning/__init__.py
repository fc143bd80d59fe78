"""Cleaning: one pure kernel per Arrow batch, near duplicates, and the engine that distributes batches."""
