"""The ways a message leaves the house: SMS and e-mail, each behind one small port."""
