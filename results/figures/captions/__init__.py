"""What goes with each drawing: its title, its caption, what it says to those who do not see it, and its data."""
