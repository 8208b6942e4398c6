"""What subject and peers are given to do: made from fixed seeds, shared by everybody."""
