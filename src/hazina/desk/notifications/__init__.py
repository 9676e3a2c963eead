"""What customers are told: facts of the outbox as SMS, e-mail and lines of their inbox."""
