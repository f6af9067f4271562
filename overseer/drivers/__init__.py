"""Drivers that come with the overseer."""
