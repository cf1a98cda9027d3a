"""What looks at a run while it trains: progress, pictures, logs, alarms and their symptoms."""
