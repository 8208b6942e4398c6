"""Getting a state: cache, snapshot, load, replay."""
