"""What stores in databases share: the batching writer, news, pages, verifying. Each database adds its own SQL."""
