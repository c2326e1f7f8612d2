"""What the commands do, whoever gives them. Ports meet adapters here; nothing is printed."""
