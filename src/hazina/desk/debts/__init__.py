"""What customers owe the house, repaid by whatever comes to them first."""
