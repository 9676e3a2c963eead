"""The visitor's address, for pages and routes. It lives in infra: rails ask for it as well."""

from hazina.infra.client_ip import client_ip, is_within, parse_networks

__all__ = ["client_ip", "is_within", "parse_networks"]
