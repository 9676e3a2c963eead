"""Gold by the gram: lots in a vault, two prices, quotes, buying and selling."""
