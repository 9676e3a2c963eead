"""Who is who: customers and operators, their passwords, sessions and tokens. KYC comes later."""
