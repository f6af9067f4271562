"""What drivers are written with, and those that come with the overseer."""
