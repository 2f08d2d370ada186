"""From the answers of constituents to that of the whole."""
