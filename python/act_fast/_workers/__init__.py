"""What runs reactions: claim, deliver, finish, renew."""
