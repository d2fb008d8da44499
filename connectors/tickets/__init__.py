"""Where gaps become tickets."""
