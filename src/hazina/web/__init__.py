"""The shells: what listens, what wraps every answer, and the few pages that belong to no slice.

They mount what manifests offer and know no product by name. Business rules are nowhere in here.
"""
