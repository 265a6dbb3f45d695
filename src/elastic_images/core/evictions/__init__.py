"""Which entry to evict first: the orders that a cache can keep its keys in."""
