"""Access to the database: URLs, engines, migrations."""
