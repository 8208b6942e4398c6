"""The commands of `act-fast`, a file each."""
