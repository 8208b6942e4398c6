"""What `act-fast bench` measures."""
