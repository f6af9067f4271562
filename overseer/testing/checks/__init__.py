"""The checks of a driver's contract, by what they are about."""
