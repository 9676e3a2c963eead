"""What every slice above needs: the current user, and later approvals, limits, notifications."""
