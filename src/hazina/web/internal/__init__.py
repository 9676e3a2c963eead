"""The ledger's door for other services: /internal, signed, each in a namespace of its own."""
