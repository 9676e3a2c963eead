"""Products: who may move what to whom. None knows another, none names a rail."""
