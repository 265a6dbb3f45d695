"""Several hosts on one machine: a system whose every host is a network namespace with its own address."""
