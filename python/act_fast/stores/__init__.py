"""What a store is: the ports, and the values that cross them."""
