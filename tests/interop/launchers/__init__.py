"""What runs inside the real servers' own environments: their launchers, and the far end."""
