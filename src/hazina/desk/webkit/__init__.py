"""What pages and routes share: the current user, cookies, the visitor's address."""
