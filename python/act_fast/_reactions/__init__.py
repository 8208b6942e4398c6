"""What is declared of reactions: what they take, their targets and lanes, and what is reported of them."""
