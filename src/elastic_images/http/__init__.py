"""How our processes speak HTTP: apps, problem documents, clients, conditional answers, bulkheads."""
