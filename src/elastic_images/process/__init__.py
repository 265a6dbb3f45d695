"""How one of our processes lives: its server, ports, signals, lifeline and logs."""
