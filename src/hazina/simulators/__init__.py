"""Stand-alone servers that play the outside world; only the wire joins them."""
