"""Keys of those whom personal values are about: kept, used and destroyed."""
