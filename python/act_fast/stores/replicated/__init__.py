"""The store on several machines: an ordered log of proposals, and a replica of what they came to on each machine."""
