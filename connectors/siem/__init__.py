"""Where telemetry is searched."""
