"""Facts: their classes, stored names, encoding, upcasting, and why they happened."""
