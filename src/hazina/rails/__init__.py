"""The outside, one folder per protocol, behind ports. Posts nothing, knows no flow."""
