"""For clients that stay on this machine."""

import ssl

# Loopback has no certificates, and reading the machine's takes longer than a payment.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
