"""Technical rooms without a business noun: settings, database, jobs, HTTP, vault, audit, logs."""
